import fc from 'fast-check';
import { expect, it } from 'vitest';
import { newDoneRuns } from '../../../host-exporter/restore/done-runs.ts';

const run = fc.record({ first: fc.nat({ max: 60 }), count: fc.integer({ min: 1, max: 10 }) });

it('A set of runs holds exactly the segments that were added, as few runs that do not touch', () => {
  fc.assert(
    fc.property(fc.array(run), fc.array(run), run, (before, after, asked) => {
      const done = newDoneRuns([]);
      for (const each of before) done.add(each);
      const again = newDoneRuns(done.list());
      for (const each of after) again.add(each);
      const segments = new Set([...before, ...after].flatMap(({ first, count }) => numbers(first, count)));
      const listed = again.list();
      expect(listed.flatMap(({ first, count }) => numbers(first, count))).toEqual([...segments].sort((a, b) => a - b));
      for (const [i, { first, count }] of listed.entries())
        expect(listed[i + 1]?.first ?? 1000).toBeGreaterThan(first + count);
      expect(again.has(asked)).toBe(numbers(asked.first, asked.count).every((segment) => segments.has(segment)));
    }),
  );
});

function numbers(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}
