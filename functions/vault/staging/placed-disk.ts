import { EkkoError } from '../errors.ts';

/** A disk that lies in a file as it is, byte for byte: whoever shares the process can read it there. */
export interface PlacedDisk {
  /** For people. */
  readonly path: string;
  /** Number of the file in this process, which has it open for as long as the moment is held. */
  readonly descriptor: number;
  /** Bytes; what is read behind them is zero. */
  readonly size: number;
  /** When the file was last written to, in nanoseconds, by which a write meanwhile is noticed; undefined: that does not matter. */
  readonly version: bigint | undefined;
}

/** `busy`: the file is not what it was when its moment was taken. */
export function fileChanged(path: string, found: string): EkkoError {
  return new EkkoError(
    'busy',
    `${path} changed while it was read (${found}): stop whoever writes it, or protect it through its guest's monitor with --qmp.`,
  );
}
