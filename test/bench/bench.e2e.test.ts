import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { lacks } from '../setup/cache.ts';
import { median, type Row } from './row.ts';

const run = promisify(execFile);
const BENCH = join(import.meta.dirname, 'bench.ts');

/** What the bench wrote as one JSON document. */
async function bench(...args: readonly string[]): Promise<Row[]> {
  const { stdout } = await run(process.execPath, [BENCH, '--json', '--size', '128M', ...args]);
  return JSON.parse(stdout) as Row[];
}

/** All figures are there, and none of them is nonsense. The goals are for a quiet machine and a large image. */
function expectRows(rows: readonly Row[], names: readonly string[]): void {
  expect(rows.map(({ name }) => name)).toEqual(expect.arrayContaining([...names]));
  expect(rows.filter(({ value }) => !Number.isFinite(value) || value < 0)).toEqual([]);
  expect(rows.filter(({ goal, holds }) => (goal === null) !== (holds === null))).toEqual([]);
}

describe.skipIf(lacks('guest', 'restic', 'borg', 'nbdcopy'))('the bench', () => {
  test('measures a small image beside the peers, and gives only the rows asked for', async () => {
    const rows = await bench(
      '--only',
      'full',
      '--only',
      'incremental',
      '--only',
      'nbd-read.of-nbdcopy',
      '--only',
      'verify',
    );
    expectRows(rows, [
      'full.of-restic',
      'full.of-bare-loop',
      'full.borg.stored',
      'incremental.wall',
      'incremental.times-faster-than-restic',
      'nbd-read.of-nbdcopy',
      'verify.of-sha256sum',
    ]);
    expect(rows.map(({ name }) => name)).not.toContain('nbd-read.speed');
  });

  test.each([
    [['--size', '5']],
    [['--size', 'much']],
    [['--onlly', 'full']],
    [['--only', 'no-such-row']],
    [['--runs', '0']],
  ])('%j is refused with a sentence', async (args) => {
    await expect(run(process.execPath, [BENCH, ...args])).rejects.toMatchObject({ code: 1, stdout: '' });
  });
});

test.each([
  [[3], 3],
  [[5, 1, 3], 3],
  [[4, 1, 2, 3], 2.5],
])('the median of %j is %d', (values, expected) => {
  expect(median(values)).toBe(expected);
});
