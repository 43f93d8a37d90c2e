import type { RestorePoint } from '#vault/format/point.ts';
import { newIdentity } from '#vault/keys/identity.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { createVault, openVault, type Vault } from '#vault/vault.ts';
import { runBackup } from '../../functions/command-line/run-backup.ts';
import { type Fault, type FaultyStore, openFaultyStore } from '../faulty-store.ts';
import { restored } from '../restored.ts';
import { type Delivery, openInlineHost, PROMPT } from './inline-host.ts';
import { type ModelGuest, newModelGuest } from './model-guest.ts';

export interface BackupOptions {
  readonly faults?: readonly Fault[];
  readonly delivery?: Delivery;
  readonly audit?: boolean;
  readonly partSegments?: number;
  /** What the backup sees in place of its store. */
  readonly over?: (store: ObjectStore) => ObjectStore;
}

/** One vault in memory and a guest that is backed up to it. Each backup is a process of its own, which may die. */
export interface World {
  readonly memory: ObjectStore;
  readonly guest: ModelGuest;
  backup(options?: BackupOptions): Promise<RestorePoint>;
  /** Opens the vault, over a store on which faults happen. */
  open(...faults: Fault[]): Promise<Vault>;
  /** Opens it over another store, which leads to `memory`. */
  openOver(store: ObjectStore): Promise<Vault>;
  /** Store writes of the last backup. */
  writes(): number;
}

const QUIET = { planned: () => undefined, read: () => undefined, staged: () => undefined, distrusted: () => undefined };

export async function newWorld(segments: number, missing = 0): Promise<World> {
  const { identity } = newIdentity();
  const provider = { origin: 'test', identity: async () => identity };
  const memory = openMemoryStore();
  const recipients = [{ kind: 'key-file', publicKey: identity.publicKey }] as const;
  await createVault(memory, { recipients, noEscrow: true, now: new Date() });
  let store: FaultyStore | undefined;
  const guest = newModelGuest({ name: 'disk', segments, missing, dead: () => store?.crashed() ?? false });
  return {
    memory,
    guest,
    writes: () => store?.calls('write') ?? 0,
    openOver: (store) => openVault(store, provider),
    open: (...faults) => openVault(faults.length === 0 ? memory : openFaultyStore(memory, faults), provider),
    async backup({ faults = [], delivery = PROMPT, audit = false, partSegments = 5, over } = {}) {
      store = openFaultyStore(memory, faults);
      const vault = await openVault(over === undefined ? store : over(store), provider);
      return runBackup({
        vault,
        host: openInlineHost(vault, delivery),
        source: guest,
        group: 'default',
        quiesce: 'never',
        readAll: undefined,
        auditShare: audit ? 1 : 0,
        bandwidth: undefined,
        partSegments,
        partsWaiting: 3,
        watch: QUIET,
      });
    },
  };
}

/** Throws unless every committed point restores to what the guest's disk was at its moment. Returns how many there are. */
export async function checkAllPoints(world: World): Promise<number> {
  const vault = await world.open();
  const { points } = vault.journal.state();
  for (const run of points.keys()) {
    const image = await restored(vault, run);
    if (!world.guest.moments.get(run)?.equals(image)) throw new Error(`Restore point ${run} is not what the disk was.`);
  }
  return points.size;
}
