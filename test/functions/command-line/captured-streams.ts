import { PassThrough, Readable } from 'node:stream';
import type { Surroundings } from '../../../functions/command-line/run-command.ts';

export interface Captured extends Surroundings {
  readonly said: { readonly output: () => string; readonly errors: () => string };
}

/** Surroundings of a command that no terminal belongs to; what it says is kept. */
export function captureStreams(environment: Record<string, string> = {}, input = ''): Captured {
  const output = new PassThrough();
  const errors = new PassThrough();
  const textOf = (stream: PassThrough) => {
    const pieces: Buffer[] = [];
    stream.on('data', (piece: Buffer) => pieces.push(piece));
    return () => Buffer.concat(pieces).toString();
  };
  return {
    streams: { input: Readable.from([input]), output, errors },
    environment,
    said: { output: textOf(output), errors: textOf(errors) },
  };
}
