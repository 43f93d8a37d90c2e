import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { newIdentity } from '#vault/keys/identity.ts';
import { openFileStore } from '#vault/store/file-store.ts';
import { createVault, openVault, type Vault } from '#vault/vault.ts';
import { runBackup } from '../../functions/command-line/run-backup.ts';
import { movePacks } from '../../functions/sweeper/move-packs.ts';
import { sweepVault } from '../../functions/sweeper/sweep-vault.ts';
import { strays } from '../functions/sweeper/needed-objects.ts';
import { restored } from '../restored.ts';
import { openInlineHost } from './inline-host.ts';
import { type ModelGuest, newModelGuest } from './model-guest.ts';

const CLIENTS = 8;
const BACKUPS = 5;
const SEGMENTS = 24;
const QUIET = { planned: () => undefined, read: () => undefined, staged: () => undefined, distrusted: () => undefined };

const { identity } = newIdentity();
const provider = { origin: 'test', identity: async () => identity };
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-beside-'));
  const recipients = [{ kind: 'key-file', publicKey: identity.publicKey }] as const;
  await createVault(openFileStore(folder), { recipients, noEscrow: true, now: new Date() });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** As another process would: nothing is shared but the files. */
const open = () => openVault(openFileStore(folder), provider);

/** Backs a disk up again and again. Disks share content, old content comes back, and old points expire while others still use them. */
async function client(number: number, guests: ModelGuest[]): Promise<void> {
  const name = `disk${number}`;
  const guest = newModelGuest({ name, segments: SEGMENTS, missing: 0, dead: () => false });
  guests.push(guest);
  for (let round = 0; round < BACKUPS; round++) {
    for (let i = 0; i < SEGMENTS; i++) {
      if ((i + round) % 3 !== 0) guest.write(i, 1 + ((i * 7 + round * 5 + (number % 3) * 11) % 60));
    }
    if (round === 2) guest.loseBitmaps();
    const vault = await open();
    const { id } = await runBackup({
      ...{ vault, host: openInlineHost(vault), source: guest, group: name, quiesce: 'never', readAll: undefined },
      ...{ auditShare: 0, bandwidth: undefined, partSegments: 6, partsWaiting: 3, watch: QUIET },
    });
    await restoreHeld(await open(), id, guest);
    await expireOld(await open(), name);
  }
}

async function restoreHeld(vault: Vault, run: string, guest: ModelGuest): Promise<void> {
  const hold = `restore ${run}`;
  const at = new Date().toISOString();
  const placed = { type: 'hold-placed', hold, kind: 'read', points: [run], reason: 'test', host: 'h', at } as const;
  await vault.journal.append(() => placed);
  // What has been moved and removed since must be found all the same.
  await pause(20);
  expect(guest.moments.get(run)?.equals(await restored(vault, run))).toBe(true);
  await vault.journal.append(() => ({ type: 'hold-released', hold, at }));
}

/** All points of a group but the newest two. */
async function expireOld({ journal }: Vault, group: string): Promise<void> {
  const own = [...(await journal.refresh()).points.values()].filter((point) => point.group === group);
  const points = own.slice(0, -2).map(({ run }) => run);
  if (points.length === 0) return;
  await journal.append(() => ({ type: 'points-expired', points, reason: 'test', at: new Date().toISOString() }));
}

/** Sweeps until told to end; how often. */
async function sweeper(
  ended: () => boolean,
  compacts: boolean,
): Promise<{ sweeps: number; packs: number; moved: number }> {
  const sums = { sweeps: 0, packs: 0, moved: 0 };
  while (!ended()) {
    const vault = await open();
    if (compacts) sums.moved += (await movePacks(vault, { now: new Date(), below: 0.9, leastGain: 1 })).moved.packs;
    sums.packs += (await sweepVault(vault, { now: new Date(), graceHours: 0 })).removed.packs.objects;
    sums.sweeps++;
  }
  return sums;
}

test.each([
  ['two sweeps', [false, false]],
  ['a sweep and a compaction', [false, true]],
])(
  'backups and restores of %s beside each other: nothing fails, nothing is lost, nothing is left over',
  async (_, kinds) => {
    const guests: ModelGuest[] = [];
    let done = false;
    const sweepers = kinds.map((compacts) => sweeper(() => done, compacts));
    try {
      await Promise.all(Array.from({ length: CLIENTS }, (_, number) => client(number, guests)));
    } finally {
      done = true;
    }
    const sums = await Promise.all(sweepers);
    expect(sums.every(({ sweeps }) => sweeps > 0)).toBe(true);
    expect(sums.reduce((sum, { packs }) => sum + packs, 0)).toBeGreaterThan(0);
    const vault = await open();
    await sweepVault(vault, { now: new Date(), graceHours: 0 });
    const { points } = vault.journal.state();
    expect(points.size).toBe(2 * CLIENTS);
    for (const run of points.keys()) {
      const image = await restored(vault, run);
      expect(guests.some((guest) => guest.moments.get(run)?.equals(image))).toBe(true);
    }
    expect((await strays(vault)).filter((stray) => !stray.startsWith('sample '))).toEqual([]);
  },
  240_000,
);
