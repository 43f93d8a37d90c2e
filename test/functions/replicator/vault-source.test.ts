import { expect, test } from 'vitest';
import type { RestorePoint } from '#vault/format/point.ts';
import { newIdentity } from '#vault/keys/identity.ts';
import { writePoint } from '#vault/records.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { createVault, openVault, type Vault } from '#vault/vault.ts';
import { openVaultSource } from '../../../functions/replicator/vault-source.ts';
import { exampleTopology } from '../../example-topology.ts';

const RUN = '20261121-030000-aabbcc';
const disk = (name: string) => ({ name, diskSize: 65_536, manifest: '0'.repeat(64) }) as RestorePoint['disks'][number];
const POINT: RestorePoint = {
  ...{ id: RUN, group: 'shop', takenAt: '2026-11-21T03:00:02Z', disks: [disk('root'), disk('data')] },
  topology: exampleTopology(),
};

/** A vault of one point, and the ranges in which points are read. */
async function openSource() {
  const { identity } = newIdentity();
  const store = openMemoryStore();
  const recipients = [{ kind: 'key-file', publicKey: identity.publicKey }] as const;
  await createVault(store, { recipients, noEscrow: true, now: new Date() });
  const opened = await openVault(store, { origin: 'test', identity: async () => identity });
  const point = { run: RUN, point: await writePoint(opened, POINT) };
  const state = { points: new Map([[RUN, point]]), expired: new Map() };
  const read: (number | undefined)[] = [];
  const get: ObjectStore['get'] = (key, range) => {
    if (key.startsWith('points/')) read.push(range?.end);
    return store.get(key, range);
  };
  const vault = { ...opened, store: { ...store, get }, journal: { state: () => state } } as unknown as Vault;
  return { vault, read };
}

test('of a point its head is read once, and nothing of its topology', async () => {
  const { vault, read } = await openSource();
  const source = await openVaultSource({ vault, point: RUN, earlier: new Map() });
  expect((await source.disks()).map(({ name }) => name)).toEqual(['root', 'data']);
  expect(read).toEqual([16 * 1024]);
});

test('a single disk is given where one is asked for, and none that the point has not', async () => {
  const { vault } = await openSource();
  const source = await openVaultSource({ vault, point: RUN, disk: 'data', earlier: new Map() });
  expect((await source.disks()).map(({ name }) => name)).toEqual(['data']);
  const other = openVaultSource({ vault, point: RUN, disk: 'other', earlier: new Map() });
  await expect(other).rejects.toMatchObject({ code: 'disk-unknown' });
});
