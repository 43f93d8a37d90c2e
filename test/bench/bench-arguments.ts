import { parseArgs } from 'node:util';
import { readSize } from '../../functions/command-line/arguments/read-size.ts';
import { readInteger } from '../../functions/command-line/arguments/read-value.ts';

export interface BenchArguments {
  readonly json: boolean;
  /** Beginnings of the names of rows; empty: all. */
  readonly only: readonly string[];
  /** Bytes of the image. */
  readonly size: number;
  readonly runs: number;
  readonly shortRuns: number;
  readonly keep: boolean;
  /** Where to work, and where the image of an earlier call may lie; undefined: a new folder. */
  readonly folder: string | undefined;
}

export const HELP = `npm run bench -- [OPTIONS]
  --size SIZE    of the image that is backed up (default: 8G)
  --only NAME    only rows whose names begin like that; may be given several times
  --runs N       how often everything is measured, medians count (default: 1; what takes seconds: 3)
  --json         rows { name, value, unit, goal, holds } as one JSON document
  --folder PATH  work there, with the image of an earlier call if it is there (default: a new folder, removed afterwards)
  --keep         leave vaults and repositories for a look`;

const SMALLEST = 64 * 2 ** 20;

/** Throws with a sentence when something cannot be meant. */
export function readArguments(args: readonly string[]): BenchArguments | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean' },
      json: { type: 'boolean' },
      keep: { type: 'boolean' },
      only: { type: 'string', multiple: true },
      size: { type: 'string', default: '8G' },
      runs: { type: 'string' },
      folder: { type: 'string' },
    },
  });
  if (values.help) return 'help';
  const size = readSize(values.size, '--size');
  if (size < SMALLEST) throw new Error('--size is at least 64M.');
  const runs = values.runs === undefined ? undefined : readInteger(values.runs, '--runs', 1, 100);
  return {
    ...{ json: values.json ?? false, keep: values.keep ?? false, folder: values.folder },
    ...{ only: values.only ?? [], size, runs: runs ?? 1, shortRuns: runs ?? 3 },
  };
}
