import fc from 'fast-check';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { type DataMap, newDataMap } from '../../../functions/restorer/data-map.ts';

/** Disks of up to `segments` segments, the last one perhaps short, with runs of data anywhere. */
export function randomMap(segments: number): fc.Arbitrary<DataMap> {
  const run = fc.record({ gap: fc.integer({ min: 0, max: segments / 4 }), count: fc.integer({ min: 1, max: 40 }) });
  return fc
    .record({
      segments: fc.integer({ min: 1, max: segments }),
      missing: fc.nat({ max: SEGMENT_SIZE - 1 }),
      runs: fc.array(run, { maxLength: 30 }),
    })
    .map(({ segments: count, missing, runs }) => {
      const map = newDataMap(count * SEGMENT_SIZE - missing);
      let at = 0;
      for (const { gap, count: wanted } of runs) {
        const first = at + gap;
        const end = Math.min(first + wanted, count);
        if (end <= first) break;
        map.add({ first, count: end - first });
        at = end + 1;
      }
      return map;
    });
}
