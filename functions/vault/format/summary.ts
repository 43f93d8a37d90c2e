import { EkkoError } from '../errors.ts';
import { copiedPoint } from '../journal/check-entry.ts';
import type { CopiedPoint } from '../journal/entries.ts';
import { parseJson } from './bytes.ts';
import { checkDiskSize } from './manifest.ts';

/** What the exporter says of one disk when all its parts are staged; sealed like a part, so only the run's exporter can say it. */
export interface ExportSummary {
  readonly disk: string;
  /** Bytes. */
  readonly diskSize: number;
  /** How many parts were staged, numbered 0 … parts - 1, ascending on the disk. */
  readonly parts: number;
  /** The restore point (run id) whose state every segment has that no part names; undefined: the parts name every segment. */
  readonly base: string | undefined;
  /** The disk of `base` that is meant, where it is another one: the image that the disk was built on. Behind its end the disk is zero. */
  readonly baseDisk?: string;
  readonly fullReason: string | undefined;
  /** What the source calls the disk. */
  readonly origin: string;
  /** ISO time of the moment. */
  readonly takenAt: string;
  readonly consistency: 'application' | 'file-system' | 'crash';
  readonly consistencyNote: string;
  readonly frozenMs: number;
  /** The restore point of another vault that the disk is a copy of. */
  readonly copyOf?: CopiedPoint;
}

const MOST_PARTS = 1 << 20;

export function encodeSummary(summary: ExportSummary): Buffer {
  return Buffer.from(JSON.stringify(summary));
}

/** Throws `bad-format` naming the field. */
export function decodeSummary(bytes: Uint8Array, origin: string): ExportSummary {
  const found = parseJson(bytes, origin) as Record<string, unknown> | null;
  const text = (name: string, most: number) => {
    const value = found?.[name];
    if (typeof value === 'string' && value.length <= most) return value;
    throw new EkkoError('bad-format', `${origin} has no usable ${name}.`);
  };
  const number = (name: string, most: number) => {
    const value = found?.[name];
    if (typeof value === 'number' && value >= 0 && value <= most) return value;
    throw new EkkoError('bad-format', `${origin} has no usable ${name}.`);
  };
  const optional = (name: string) => (found?.[name] === undefined ? undefined : text(name, 64));
  return {
    disk: text('disk', 255),
    diskSize: checkDiskSize(number('diskSize', Number.MAX_SAFE_INTEGER), origin),
    parts: Math.trunc(number('parts', MOST_PARTS)),
    base: optional('base'),
    ...(found?.['baseDisk'] === undefined ? {} : { baseDisk: text('baseDisk', 255) }),
    fullReason: optional('fullReason'),
    origin: text('origin', 4096),
    takenAt: text('takenAt', 40),
    consistency: consistencyOf(text('consistency', 20), origin),
    consistencyNote: text('consistencyNote', 1000),
    frozenMs: number('frozenMs', 86_400_000),
    ...copyIn(found?.['copyOf'], origin),
  };
}

function copyIn(value: unknown, origin: string): Pick<ExportSummary, 'copyOf'> {
  return value === undefined ? {} : { copyOf: copiedPoint(value, `The field copyOf of ${origin}`) };
}

function consistencyOf(text: string, origin: string): ExportSummary['consistency'] {
  if (text === 'application' || text === 'file-system' || text === 'crash') return text;
  throw new EkkoError('bad-format', `${origin} claims the consistency ${JSON.stringify(text)}.`);
}
