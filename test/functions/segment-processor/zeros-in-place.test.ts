import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { openKnownSegments } from '#vault/dedupe/known-segments.ts';
import { segmentId } from '#vault/dedupe/segment-id.ts';
import { RunKind } from '#vault/format/staged-part.ts';
import { deriveEpochKeys, keyringOf } from '#vault/keys/epoch-keys.ts';
import { openCountedStore } from '#vault/store/counted-store.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { packSegments } from '../../../functions/segment-processor/pack-segments.ts';

test('segments of data that turn out to be zero are listed as zero, not stored, and do not count as data', () => {
  const keys = deriveEpochKeys(randomBytes(32), randomBytes(16).toString('hex'), 1);
  const data = randomBytes(SEGMENT_SIZE);
  const segments = [Buffer.alloc(SEGMENT_SIZE), data, Buffer.alloc(SEGMENT_SIZE)];
  const header = { diskSize: 9 * SEGMENT_SIZE, lineage: undefined, runs: [{ first: 4, count: 3, kind: RunKind.data }] };
  const knowledge = { find: () => undefined, unchanged: () => undefined };
  const ids = segments.map((_, at) => Buffer.alloc(32, at));
  const { extents, pack, stats } = packSegments(keys, 1, { header, segments, ids, knowledge, located: [] });
  expect(extents).toEqual([
    { start: 4, count: 1, pack: undefined, first: 0 },
    { start: 5, count: 1, pack: pack?.reference, first: 0 },
    { start: 6, count: 1, pack: undefined, first: 0 },
  ]);
  expect(pack?.ids).toEqual([ids[1]]);
  expect(stats).toEqual({ dataSegments: 1, newSegments: 1, auditedSegments: 0, auditFailures: 0 });
});

test('zeros ask for no packs that resemble the part, for no pack has any', async () => {
  const keys = deriveEpochKeys(randomBytes(32), randomBytes(16).toString('hex'), 1);
  const asked = async (segment: Buffer) => {
    const store = openCountedStore(openMemoryStore());
    const content = { segments: [segment], ids: [segmentId(keys, segment)], epoch: 1, lineage: undefined };
    await openKnownSegments({ store, keyring: keyringOf([keys]) }).look(
      { ...content, runs: [{ first: 0, count: 1 }] },
      () => false,
    );
    return store.requests('get');
  };
  expect(await asked(randomBytes(SEGMENT_SIZE))).toBe(1);
  expect(await asked(Buffer.alloc(SEGMENT_SIZE))).toBe(0);
});
