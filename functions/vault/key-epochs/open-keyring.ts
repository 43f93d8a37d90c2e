import { codeOf } from '../errors.ts';
import { isAuthentic } from '../format/epoch-description.ts';
import { decodeLoneEntry } from '../format/journal-entry.ts';
import { checkDescription, type VaultDescription } from '../format/vault-description.ts';
import type { Journal } from '../journal/journal.ts';
import { getEntry } from '../journal/object-journal.ts';
import { type BegunKeyEpoch, type EpochKeys, type Keyring, unknownEpoch } from '../keys/epoch-keys.ts';
import { fingerprintOf, type Identity } from '../keys/identity.ts';
import { removedKey, strangeKey } from '../keys/wanted-keys.ts';
import { journalKey, VAULT_JSON } from '../store/object-names.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { type EpochObject, listEpochObjects, readEpochObject } from './epoch-objects.ts';
import { newRootPool, type RootedKeys, type RootPool } from './root-keys.ts';

/** What is needed to find an identity's keys. */
export interface KeySource {
  readonly store: ObjectStore;
  readonly log: Journal;
  readonly description: VaultDescription;
  /** Of the description. */
  readonly mac: string;
  /** The vault's key objects, as `listEpochObjects` gives them. */
  readonly objects: readonly EpochObject[];
}

/** Who opened the vault, and what others need to be let in. */
export interface KeyHolder {
  /** Fingerprint of its key. */
  readonly recipient: string;
  /** Of all epochs, oldest first. Secret. */
  rootKeys(): readonly Buffer[];
}

/**
 * The keys of every epoch that the identity opens. The first epoch's are those that `vault.json` was written with; each later one's
 * are those of the key object that the journal began it with, by an entry under the keys of the epoch before. Where several claim
 * that, the earliest entry counts: nobody who has an old key alone can have written before the true one.
 * Throws `wrong-key`, saying which keys would do, `damaged` (vault.json), `store-failed`.
 */
export async function openKeyring(
  source: KeySource,
  identity: Identity,
): Promise<{ keyring: Keyring; holder: KeyHolder }> {
  const pool = await gather(source, identity);
  const held = new Map([[1, firstEpoch(source, identity, pool)]]);
  for (let next = await climb(source, pool, held); next !== undefined; next = await climb(source, pool, held)) {
    held.set(held.size + 1, next);
  }
  return assemble(source, identity, pool, held);
}

/** An epoch's keys, and where they were found. */
interface HeldEpoch extends RootedKeys {
  /** Name of the key object; empty for that of `vault.json`. */
  readonly name: string;
}

async function gather({ description, objects }: KeySource, identity: Identity): Promise<RootPool> {
  const pool = newRootPool(identity, description.vault);
  let failure: unknown;
  const adding = [pool.addFirst(description), ...objects.map((object) => pool.addObject(object))];
  for (const outcome of await Promise.allSettled(adding)) if (outcome.status === 'rejected') failure ??= outcome.reason;
  // One that opens is enough.
  if (failure !== undefined && pool.of(1).length === 0) throw failure;
  return pool;
}

function firstEpoch({ store, description, mac, objects }: KeySource, identity: Identity, pool: RootPool): HeldEpoch {
  const origin = `${store.url}/${VAULT_JSON}`;
  let failure: unknown;
  for (const rooted of pool.of(1)) {
    try {
      checkDescription(rooted.keys, description, mac, origin);
      return { ...rooted, name: '' };
    } catch (error) {
      failure = error;
    }
  }
  if (failure !== undefined) throw failure;
  throw strangeKey(fingerprintOf(identity.publicKey), description.vault, newestKeys(description, objects));
}

/** Who can open the newest epoch, as far as the store tells. */
function newestKeys({ epoch }: VaultDescription, objects: readonly EpochObject[]) {
  const newest = Math.max(1, ...objects.map(({ description }) => description.epoch.number));
  const sets = [epoch, ...objects.map(({ description }) => description.epoch)];
  const keys = sets.filter(({ number }) => number === newest).flatMap(({ wrapped }) => wrapped);
  return [...new Map(keys.map((each) => [each.recipient, each])).values()];
}

/** The epoch after the last one held, if it has begun and the identity opens it. */
async function climb(
  source: KeySource,
  pool: RootPool,
  held: ReadonlyMap<number, HeldEpoch>,
): Promise<HeldEpoch | undefined> {
  const before = held.get(held.size);
  const epoch = held.size + 1;
  if (before === undefined) return undefined;
  const claims = source.objects.flatMap((object) => {
    const { start, epoch: claimed } = object.description;
    return start !== undefined && claimed.number === epoch ? [{ start, object }] : [];
  });
  for (const { start, object } of claims.sort((a, b) => a.start - b.start)) {
    if (!(await begins(source, before.keys, start, object))) continue;
    const found = pool.of(epoch).find(({ keys }) => isAuthentic(keys, object));
    return found && { ...found, name: object.name };
  }
  return undefined;
}

/** Whether the journal's entry at `start`, under the keys of the epoch before, begins an epoch with this object. */
async function begins(
  { store, log }: KeySource,
  before: EpochKeys,
  start: number,
  object: EpochObject,
): Promise<boolean> {
  const bytes = await entryAt(store, log, start);
  if (bytes === undefined) return false;
  try {
    const entry = decodeLoneEntry(before, start, bytes, journalKey(start));
    return entry.type === 'epoch-started' && entry.epoch === before.epoch + 1 && entry.key === object.name;
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return false;
  }
}

/** Every journal has its entries, or a copy of them, in the store; one that is only in its database is asked for there. */
async function entryAt(store: ObjectStore, log: Journal, position: number): Promise<Buffer | undefined> {
  if (position < 1) return undefined;
  const stored = await getEntry(store, position);
  if (stored !== undefined) return stored;
  for await (const entry of log.read(position)) return entry.bytes;
  return undefined;
}

function assemble(source: KeySource, identity: Identity, pool: RootPool, held: Map<number, HeldEpoch>) {
  const { store, description } = source;
  const recipient = fingerprintOf(identity.publicKey);
  const keysOf = (epoch: number) => held.get(epoch)?.keys;

  /** Keys that the object is authentic under: of the pool, of the object itself, or of another one for the same epoch. */
  async function keysFor(begun: BegunKeyEpoch): Promise<RootedKeys> {
    const object = await readEpochObject(store, description.vault, begun.epoch, begun.key);
    const find = () => pool.of(begun.epoch).find(({ keys }) => isAuthentic(keys, object));
    if (find() === undefined) await pool.addObject(object);
    if (find() === undefined) {
      // Another object may seal the same root key to us; one that does not open is no help, whatever it is.
      const others = (await listEpochObjects(store)).filter((each) => each.description.vault === description.vault);
      await Promise.allSettled(others.map((other) => pool.addObject(other)));
    }
    const found = find();
    if (found !== undefined) return found;
    throw removedKey(recipient, description.vault, begun, object.description.epoch.wrapped);
  }

  const keyring: Keyring = {
    get newest() {
      return keysOf(held.size) ?? unknownEpoch(new Map(), held.size, description.vault);
    },
    epoch: (epoch, origin) => keysOf(epoch) ?? unknownEpoch(allOf(held), epoch, origin),
    async begin(begun) {
      if (held.get(begun.epoch)?.name === begun.key) return;
      const found = await keysFor(begun);
      // What was taken for a later epoch was built upon another one.
      for (const epoch of [...held.keys()]) if (epoch > begun.epoch) held.delete(epoch);
      held.set(begun.epoch, { ...found, name: begun.key });
    },
  };
  const rootKeys = () => [...held].sort(([a], [b]) => a - b).map(([, { root }]) => root);
  return { keyring, holder: { recipient, rootKeys } };
}

function allOf(held: ReadonlyMap<number, HeldEpoch>): Map<number, EpochKeys> {
  return new Map([...held].map(([epoch, { keys }]) => [epoch, keys]));
}
