import { expect, test } from 'vitest';
import type { CommittedPoint } from '#vault/journal/state.ts';
import { keptPoints } from '../../../../functions/command-line/copy/kept-points.ts';

const NOW = new Date('2026-11-20T12:00:00.000Z');

/** One a day at noon, the last one now. */
function daily(count: number, group: string): CommittedPoint[] {
  return Array.from({ length: count }, (_, i) => {
    const at = new Date(NOW.getTime() - (count - 1 - i) * 24 * 3_600_000).toISOString();
    return { run: `${group} ${at.slice(0, 10)}`, group, point: '', takenAt: at, at, disks: [], position: i + 1 };
  });
}

const state = (...points: CommittedPoint[]) => ({ points: new Map(points.map((each) => [each.run, each])) });

test('rules choose as they do in retention, for each group by itself', () => {
  const points = state(...daily(40, 'web'), ...daily(2, 'db'));
  expect([...keptPoints(points, 'daily=3,monthly=2,zone=UTC', NOW)]).toEqual([
    ...['db 2026-11-19', 'db 2026-11-20'],
    ...['web 2026-10-31', 'web 2026-11-18', 'web 2026-11-19', 'web 2026-11-20'],
  ]);
});

test('what are no rules is refused', () => {
  expect(() => keptPoints(state(), 'daily', NOW)).toThrow('daily=7');
});
