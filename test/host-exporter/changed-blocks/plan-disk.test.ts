import { expect, test } from 'vitest';
import { countSegments } from '#vault/staging/segment-runs.ts';
import { auditStretches } from '../../../host-exporter/changed-blocks/audit-stretches.ts';
import { planChanges } from '../../../host-exporter/changed-blocks/plan-disk.ts';
import type { NbdClient } from '../../../host-exporter/qemu/nbd-client.ts';

/** Plans over exports that are described, not read: sizes that no test could write. */
const SEGMENT = 65_536;
const GIB = 1024 ** 3;
const TIB = 1024 ** 4;
const PER_GIB = GIB / SEGMENT;

/** An export whose bytes all have the flags that `flagsAt` gives for their GiB; counts what it is asked. */
function exportOf(size: number, flagsAt: (gib: number) => number) {
  const asked: { offset: number; length: number }[] = [];
  let [now, most] = [0, 0];
  const client = {
    size,
    async blockStatus(_context: string, offset: number, length: number) {
      asked.push({ offset, length });
      most = Math.max(most, ++now);
      await new Promise(setImmediate);
      now -= 1;
      const extents: { length: number; flags: number }[] = [];
      for (let at = offset; at < offset + length; at += GIB) {
        extents.push({ length: Math.min(GIB, offset + length - at), flags: flagsAt(at / GIB) });
      }
      return extents;
    },
  } as unknown as NbdClient;
  return { client, asked, mostAtOnce: () => most };
}

const DISK = { name: 'vda', size: TIB, origin: 'node' };
const audit = (share: number, random = Math.random) => ({ share, mostSegments: 256, random });

test('what an audit asks about an unchanged disk of 1 TiB does not grow with it', async () => {
  const changes = exportOf(TIB, () => 0);
  const allocation = exportOf(TIB, () => 0);
  const clients = { allocation: allocation.client, changes: changes.client, dirtyContext: 'x' };
  const plan = await planChanges(DISK, 'base', clients, audit(0.001));
  expect(plan.data).toEqual([]);
  expect(countSegments(plan.audit)).toBe(256);
  expect(allocation.asked.reduce((sum, { length }) => sum + length, 0)).toBe(32 * GIB);
  expect(changes.asked.reduce((sum, { length }) => sum + length, 0)).toBe(TIB);
  expect(changes.mostAtOnce()).toBe(8);
});

test('dirty segments outside of what the audit looks at are read, and those known to be zero are listed', async () => {
  const changes = exportOf(TIB, (gib) => (gib === 500 || gib === 700 ? 1 : 0));
  const allocation = exportOf(TIB, (gib) => (gib === 700 ? 2 : 0));
  const clients = { allocation: allocation.client, changes: changes.client, dirtyContext: 'x' };
  for (const share of [0, 0.001]) {
    const plan = await planChanges(
      DISK,
      'base',
      clients,
      audit(share, () => 0),
    );
    expect(plan.data).toEqual([{ first: 500 * PER_GIB, count: PER_GIB }]);
    expect(plan.zero).toEqual([{ first: 700 * PER_GIB, count: PER_GIB }]);
  }
});

test('an audit reads clean segments only, and only where there is something', async () => {
  const changes = exportOf(8 * GIB, (gib) => (gib < 4 ? 1 : 0));
  const allocation = exportOf(8 * GIB, (gib) => (gib === 6 ? 0 : 2));
  const clients = { allocation: allocation.client, changes: changes.client, dirtyContext: 'x' };
  const plan = await planChanges({ ...DISK, size: 8 * GIB }, 'base', clients, audit(1));
  expect(plan.audit.every(({ first, count }) => first >= 6 * PER_GIB && first + count <= 7 * PER_GIB)).toBe(true);
  expect(countSegments(plan.audit)).toBe(256);
});

test('a small sample of a large disk stays as small as the share says', async () => {
  const clients = {
    allocation: exportOf(TIB, () => 0).client,
    changes: exportOf(TIB, () => 0).client,
    dirtyContext: 'x',
  };
  const plan = await planChanges(DISK, 'base', clients, { ...audit(0.00001), mostSegments: 10_000 });
  const expected = (TIB / SEGMENT) * 0.00001;
  expect(countSegments(plan.audit)).toBeGreaterThanOrEqual(Math.floor(expected));
  expect(countSegments(plan.audit)).toBeLessThanOrEqual(Math.ceil(expected) + 1);
});

test('the audit finds its way to every part of a disk', () => {
  const segments = (TIB + GIB) / SEGMENT;
  const seen = new Set<number>();
  for (let run = 0; run < 2000; run++) {
    const stretches = auditStretches(segments, Math.random);
    expect(stretches).toHaveLength(8);
    for (const { first, count } of stretches) {
      expect(first + count).toBeLessThanOrEqual(segments);
      seen.add(first);
    }
  }
  expect(seen.size).toBe(257);
  expect(auditStretches(1000, Math.random)).toEqual([{ first: 0, count: 1000 }]);
});

test('a question that fails ends the plan with that failure', async () => {
  const failing = { ...exportOf(TIB, () => 0).client, blockStatus: () => Promise.reject(new Error('gone')) };
  const clients = {
    allocation: failing as unknown as NbdClient,
    changes: failing as unknown as NbdClient,
    dirtyContext: 'x',
  };
  await expect(planChanges(DISK, 'base', clients, audit(0))).rejects.toThrow('gone');
});
