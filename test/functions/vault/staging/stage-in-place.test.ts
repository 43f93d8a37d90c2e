import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RUNS_PER_PART } from '#vault/format/receipt.ts';
import { carriedSegments, type PartRun, RunKind } from '#vault/format/staged-part.ts';
import { deriveEpochKeys, keyringOf } from '#vault/keys/epoch-keys.ts';
import { ticketFor } from '#vault/runs.ts';
import type { DiskPlan, HeldMoment } from '#vault/staging/changed-block-source.ts';
import { exportDisk } from '#vault/staging/export-disk.ts';
import { openPartInPlace } from '#vault/staging/part-in-place.ts';
import { stageInPlace } from '#vault/staging/stage-in-place.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { stagingKey } from '#vault/store/object-names.ts';
import type { Vault } from '#vault/vault.ts';
import { LARGEST_DISK, SEGMENT_SIZE, SEGMENTS_PER_PART } from '#vault/words.ts';

const PLACE = { path: '/disk', descriptor: 3, size: LARGEST_DISK, version: 1n };

async function stage(plan: DiskPlan, most: number) {
  const parts: (readonly PartRun[])[] = [];
  let told = 0;
  const disk = { diskSize: plan.disk.size, lineage: undefined };
  const count = await stageInPlace(
    {
      ...{ plan, most, disk },
      stage: async (part, pieces) => {
        expect(part).toBe(parts.length);
        const memory = Buffer.from(new SharedArrayBuffer(pieces[0]?.length ?? 0));
        memory.set(pieces[0] ?? []);
        parts.push(openPartInPlace(memory, 'a part').header.runs);
      },
      progress: (bytes) => {
        told += bytes;
      },
    },
    PLACE,
  );
  expect(count).toBe(parts.length);
  return { parts, told };
}

function planOf(data: DiskPlan['data'], zero: DiskPlan['zero']): DiskPlan {
  const disk = { name: 'root', size: LARGEST_DISK, origin: '/disk' };
  return { disk, base: undefined, fullReason: 'first-backup', data, zero, audit: [] };
}

test('parts list what the plan lists, in order, each once, none with more to read than allowed', async () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 100 }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(lengths, fc.integer({ min: 1, max: 64 }), async (counts, most) => {
      let first = 0;
      const runs = counts.map((count, at) => {
        first += count;
        return { first: first - count, count, kind: at % 2 === 0 ? RunKind.data : RunKind.zero };
      });
      const of = (wanted: RunKind) => runs.filter(({ kind }) => kind === wanted).map(({ kind: _, ...run }) => run);
      const { parts, told } = await stage(planOf(of(RunKind.data), of(RunKind.zero)), most);
      const segments = (list: readonly PartRun[]) =>
        list.flatMap(({ first: from, count, kind }) => Array.from({ length: count }, (_, at) => [from + at, kind]));
      expect(segments(parts.flat())).toEqual(segments(runs));
      for (const part of parts) expect(carriedSegments(part)).toBeLessThanOrEqual(most);
      expect(told).toBe(of(RunKind.data).reduce((sum, { count }) => sum + count, 0) * SEGMENT_SIZE);
    }),
    { numRuns: 100 },
  );
});

test('a disk of very many small pieces is divided where a part could list no more', async () => {
  const every = (offset: number) => Array.from({ length: 30_000 }, (_, at) => ({ first: at * 4 + offset, count: 1 }));
  const { parts } = await stage(planOf([], every(0)), SEGMENTS_PER_PART);
  expect(parts.length).toBeGreaterThan(1);
  for (const part of parts) expect(part.length).toBeLessThanOrEqual(RUNS_PER_PART - SEGMENTS_PER_PART);
});

test('a segment that is taken for data here and for a hole there moves no other into another part', async () => {
  const cutAfter = async (hole: number) => {
    const data = [
      { first: 0, count: hole },
      { first: hole + 1, count: 10_000 - hole },
    ];
    const { parts } = await stage(planOf(data, [{ first: hole, count: 1 }]), 384);
    return parts.map((runs) => Math.max(...runs.map(({ first, count }) => first + count)));
  };
  const cuts = await cutAfter(9000);
  expect(cuts.slice(0, 3)).toEqual([384, 768, 1152]);
  expect(await cutAfter(5)).toEqual(cuts);
  expect(await cutAfter(383)).toEqual(cuts);
  expect(await cutAfter(384)).toEqual(cuts);
});

test('an empty disk has no part', async () => {
  expect(await stage(planOf([], []), 384)).toEqual({ parts: [], told: 0 });
});

test.each([
  [true, 'EKKOPRTP'],
  [false, 'EKKOPRT1'],
])('a disk that lies in a file is read there where whoever processes its parts may (%s)', async (inPlace, magic) => {
  const content = randomBytes(2 * SEGMENT_SIZE);
  const plan = planOf([{ first: 0, count: 2 }], []);
  const reads: number[] = [];
  const moment: HeldMoment = {
    ...{ plans: [plan], takenAt: new Date(), consistency: 'crash', consistencyNote: '', frozenMs: 0 },
    place: () => PLACE,
    read: async (_index, offset, length, into) => {
      reads.push(offset);
      into.set(content.subarray(offset, offset + length));
    },
    end: async () => undefined,
  };
  const staging = openMemoryStore();
  const keys = deriveEpochKeys(randomBytes(32), randomBytes(16).toString('hex'), 1);
  const ticket = ticketFor({ keyring: keyringOf([keys]) } as Vault, '20260101-000000-00000a', 0);
  const parts = await exportDisk(moment, 0, ticket, undefined, {
    ...{ staging, bandwidth: undefined, partSegments: 16, inPlace },
    notice: async () => undefined,
    progress: () => undefined,
  });
  expect(parts).toBe(1);
  const key = stagingKey({ run: ticket.run, disk: 0, part: 0 });
  expect((await staging.get(key)).toString('latin1', 0, 8)).toBe(magic);
  expect(reads.length > 0).toBe(!inPlace);
});
