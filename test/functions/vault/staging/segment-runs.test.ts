import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  closeGaps,
  countSegments,
  createRunBuilder,
  intersect,
  sample,
  subtract,
  unite,
} from '#vault/staging/segment-runs.ts';
import type { SegmentRun } from '../../../../functions/vault/words.ts';
import { segments } from '../../../host-exporter/changed-blocks/disk-model.ts';

const SEGMENT = 65_536;
const set = fc.uniqueArray(fc.nat(60)).map((numbers) => numbers.toSorted((a, b) => a - b));

function runsOf(numbers: readonly number[]): readonly SegmentRun[] {
  const builder = createRunBuilder();
  for (const number of numbers) builder.add(number * SEGMENT, SEGMENT);
  return builder.runs;
}

test('runs are sets: building, uniting, intersecting, subtracting', () => {
  fc.assert(
    fc.property(set, set, (left, right) => {
      const [a, b] = [runsOf(left), runsOf(right)];
      expect(segments(a)).toEqual(left);
      expect(countSegments(a)).toBe(left.length);
      expect(intersect(a, b)).toEqual(runsOf(left.filter((one) => right.includes(one))));
      expect(unite(a, b)).toEqual(runsOf([...new Set([...left, ...right])].toSorted((x, y) => x - y)));
      expect(subtract(a, b)).toEqual(runsOf(left.filter((one) => !right.includes(one))));
    }),
  );
});

test('a segment counts as touched by any of its bytes', () => {
  const builder = createRunBuilder();
  builder.add(SEGMENT - 1, 2);
  builder.add(2 * SEGMENT - 1, 1);
  builder.add(2 * SEGMENT, 0);
  builder.add(5 * SEGMENT, 512);
  expect(builder.runs).toEqual([
    { first: 0, count: 2 },
    { first: 5, count: 1 },
  ]);
});

test('closing gaps keeps all and fills small gaps only', () => {
  fc.assert(
    fc.property(set, fc.nat(5), (numbers, gap) => {
      const closed = segments(closeGaps(runsOf(numbers), gap));
      expect(numbers.every((one) => closed.includes(one))).toBe(true);
      for (const [at, one] of numbers.entries()) {
        const next = numbers[at + 1] ?? one + 1;
        const filled = next - one - 1 <= gap;
        for (let between = one + 1; between < next; between += 1) expect(closed.includes(between)).toBe(filled);
      }
    }),
  );
});

test('a sample is of the size asked for, distinct, and from the runs', () => {
  fc.assert(
    fc.property(
      set,
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.nat(20),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      (numbers, share, most, random) => {
        const picked = segments(sample(runsOf(numbers), share, most, () => random.next().value));
        expect(picked).toHaveLength(Math.min(most, Math.ceil(numbers.length * share)));
        expect(picked.every((one) => numbers.includes(one))).toBe(true);
        expect(new Set(picked).size).toBe(picked.length);
      },
    ),
  );
});

test('a sample lies at few places', () => {
  const random = () => 0.3;
  expect(sample([{ first: 0, count: 1_000_000 }], 0.001, 256, random).length).toBeLessThanOrEqual(5);
  expect(sample([{ first: 0, count: 80_000 }], 0.001, 256, random).length).toBeLessThanOrEqual(3);
});

test('every segment is sampled sometimes', () => {
  const seen = new Set<number>();
  for (let round = 0; round < 400; round++) {
    for (const one of segments(sample([{ first: 7, count: 100 }], 0.05, 256, Math.random))) seen.add(one);
  }
  expect(seen.size).toBe(100);
});
