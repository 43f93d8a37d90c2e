import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { appendExtent, type Extent } from '#vault/format/extents.ts';
import { deriveEpochKeys, keyringOf } from '#vault/keys/epoch-keys.ts';
import { writePage } from '#vault/records.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { PAGE_SPAN, SEGMENT_SIZE, SEGMENTS_PER_PAGE, segmentsOf } from '#vault/words.ts';
import { planRestore } from '../../../host-exporter/restore/restore-plan.ts';

const LARGEST = 1536;

/** A page of runs, some zero, of packs that need not be there. */
const page = fc
  .array(
    fc.record({ gap: fc.nat({ max: 2000 }), count: fc.integer({ min: 1, max: 1024 }), pack: fc.nat({ max: 5 }) }),
    { maxLength: 20 },
  )
  .map((runs) => {
    const extents: Extent[] = [];
    let at = 0;
    for (const { gap, count, pack } of runs) {
      const start = at + gap;
      at = start + count;
      if (at > SEGMENTS_PER_PAGE) break;
      appendExtent(extents, { start, count, pack: `${pack}`.repeat(96), first: 0 });
    }
    return extents;
  });

const reader = { store: openMemoryStore(), keyring: keyringOf([deriveEpochKeys(randomBytes(32), 'v', 1)]) };

it('A plan covers the disk once, in order, in spans of bounded data, and counts the data exactly', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.option(page), { minLength: 1, maxLength: 4 }),
      fc.nat({ max: PAGE_SPAN - 1 }),
      async (maps, missing) => {
        const diskSize = maps.length * PAGE_SPAN - missing;
        const pages = await Promise.all(
          maps.map((extents) => (extents === null ? undefined : writePage(reader, extents))),
        );
        const { spans, dataBytes } = await planRestore(reader, { diskSize, pages });
        let at = 0;
        for (const span of spans) {
          expect(span.first).toBe(at);
          expect(span.dataSegments).toBeLessThanOrEqual(Math.min(LARGEST, span.count));
          at += span.count;
        }
        expect(at).toBe(segmentsOf(diskSize));
        expect(dataBytes).toBe(dataSegments(maps, segmentsOf(diskSize)) * SEGMENT_SIZE);
      },
    ),
    { numRuns: 100 },
  );
});

it('A span ends with its pack, so that no other thread needs that one', async () => {
  const extents = [0, 1, 2].map((i) => ({ start: i * 1000, count: 900, pack: `${i}`.repeat(96), first: 0 }));
  const manifest = { diskSize: PAGE_SPAN, pages: [await writePage(reader, extents)] };
  const { spans } = await planRestore(reader, manifest);
  expect(spans.map(({ first, dataSegments }) => [first, dataSegments])).toEqual([
    [0, 900],
    [1000, 900],
    [2000, 900],
  ]);
});

it('A page that cannot be read is planned as data, to fail where it is read', async () => {
  const { dataBytes } = await planRestore(reader, { diskSize: PAGE_SPAN, pages: ['ab'.repeat(32)] });
  expect(dataBytes).toBe(PAGE_SPAN);
});

function dataSegments(maps: readonly (readonly Extent[] | null)[], end: number): number {
  return maps.reduce((sum, extents, number) => {
    const base = number * SEGMENTS_PER_PAGE;
    return (
      sum + (extents ?? []).reduce((n, { start, count }) => n + Math.max(0, Math.min(count, end - base - start)), 0)
    );
  }, 0);
}
