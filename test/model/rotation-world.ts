import { expect } from 'vitest';
import { rotateKeys } from '#vault/key-epochs/rotate-keys.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import type { Vault } from '#vault/vault.ts';
import { runBackup } from '../../functions/command-line/run-backup.ts';
import type { FunctionHost } from '../../functions/host/function-host.ts';
import { newSharedVault } from '../functions/vault/key-epochs/vaults.ts';
import { restored } from '../restored.ts';
import { openInlineHost } from './inline-host.ts';
import { newModelGuest } from './model-guest.ts';

const QUIET = { planned: () => undefined, read: () => undefined, staged: () => undefined, distrusted: () => undefined };

export interface RotationBackup {
  readonly store?: ObjectStore;
  readonly audit?: boolean;
  readonly partSegments?: number;
  /** The vault as the functions have opened it. */
  readonly functions?: Vault;
  readonly host?: FunctionHost;
}

/** A vault in memory and a guest; what works on it is told on which store, each time as a process of its own. */
export async function newWorld(segments: number) {
  const { store: memory, alice } = await newSharedVault();
  const guest = newModelGuest({ name: 'disk', segments, missing: 1000, dead: () => false });
  const open = (store: ObjectStore = memory) => alice.open(store);
  return {
    ...{ memory, guest, open },
    async rotate(store?: ObjectStore): Promise<void> {
      await rotateKeys(await open(store), { remove: [], noEscrow: true, now: new Date() });
    },
    /** By default exporter and functions open the vault now, each for itself. */
    async backup({ store = memory, audit = false, partSegments = 5, functions, host }: RotationBackup = {}) {
      const vault = await open(store);
      const at = host ?? openInlineHost(functions ?? (await open(store)));
      return runBackup({
        ...{ vault, host: at, source: guest, group: 'default', quiesce: 'never', watch: QUIET },
        ...{ readAll: undefined, auditShare: audit ? 1 : 0, bandwidth: undefined, partSegments, partsWaiting: 3 },
      });
    },
  };
}

export type World = Awaited<ReturnType<typeof newWorld>>;

/** A world with one point of a disk whose segments differ from each other. */
export async function backedUp(segments = 12): Promise<World> {
  const world = await newWorld(segments);
  for (let i = 0; i < segments; i++) world.guest.write(i, i + 1);
  await world.backup();
  return world;
}

/** How many points there are, each of which restores to what the disk was. */
export async function checkAllPoints({ open, guest }: World): Promise<number> {
  const vault = await open();
  const { points } = vault.journal.state();
  for (const run of points.keys())
    expect((await restored(vault, run)).equals(guest.moments.get(run) ?? Buffer.alloc(0))).toBe(true);
  return points.size;
}
