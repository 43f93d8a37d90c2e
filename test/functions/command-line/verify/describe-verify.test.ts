import { describe, expect, test } from 'vitest';
import { describeFindings } from '../../../../functions/command-line/verify/describe-verify.ts';
import type { AffectedDisk, Finding } from '../../../../functions/verifier/report.ts';

const MIB = 2 ** 20;

function range(point: string, offset: number): AffectedDisk {
  return { point, disk: 'vda', offset, length: MIB };
}

function finding(affects: readonly AffectedDisk[], costs: Finding['costs']): Finding {
  return { object: 'packs/aa/aa', problem: 'damaged', message: 'packs/aa/aa is odd.', affects, costs, advice: 'Do.' };
}

function linesOf(affects: readonly AffectedDisk[], costs: Finding['costs']): string[] {
  return describeFindings([finding(affects, costs)], 1).filter((line) => /costs|in all/.test(line));
}

describe('What a damaged object costs', () => {
  test('is told disk by disk', () => {
    const affects = [range('p', 0), range('p', 4 * MIB), range('q', MIB)];
    expect(linesOf(affects, { points: 2, disks: 2, ranges: 3, bytes: 3 * MIB })).toEqual([
      '  costs  2 MiB of p/vda, from byte 0 on',
      '  costs  1 MiB of q/vda, from byte 1048576 on',
    ]);
  });

  test('is told for the disks that are wholly listed, and in all', () => {
    const affects = [range('p', 0), range('p', 4 * MIB), range('q', MIB)];
    expect(linesOf(affects, { points: 9, disks: 9, ranges: 40, bytes: 40 * MIB })).toEqual([
      '  costs   2 MiB of p/vda, from byte 0 on',
      '  in all  40 MiB at 9 restore points: see --json',
    ]);
  });

  test('is told in all where not even one disk is wholly listed', () => {
    expect(linesOf([range('p', 0)], { points: 1, disks: 1, ranges: 40, bytes: 40 * MIB })).toEqual([
      '  in all  40 MiB at 1 restore point: see --json',
    ]);
  });
});

test('of very many damaged objects the first are told, and how many more there are', () => {
  const one = finding([], { points: 0, disks: 0, ranges: 0, bytes: 0 });
  const lines = describeFindings(
    Array.from({ length: 1500 }, () => one),
    12_345,
  );
  expect(lines[0]).toBe('12,345 objects are damaged or missing:');
  expect(lines.filter((line) => line === one.object)).toHaveLength(1000);
  expect(lines.at(-1)).toBe('And 11,345 more objects: see --json.');
});
