import { codeOf, EkkoError } from '#vault/errors.ts';
import { SHARDS } from '#vault/journal/entries.ts';
import type { VaultState } from '#vault/journal/state.ts';
import type { ObjectLocking, StoredVersions } from '#vault/store/object-locking.ts';
import { CONTENT_NAMED, epochPlaceOf, Folder, nameOf, VAULT_JSON } from '#vault/store/object-names.ts';
import type { Vault } from '#vault/vault.ts';
import { lockMs, type VaultLock } from '#vault/words.ts';
import { inLanes } from './in-lanes.ts';

export interface ExtensionRequest {
  /** Say what would be extended, and change nothing. */
  readonly dryRun?: boolean;
  readonly onProgress?: (objects: number) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface ExtensionReport {
  readonly dryRun: boolean;
  /** How many of the 256 shards were due. */
  readonly shards: number;
  /** Whose locks were extended. Bytes as stored. */
  readonly objects: number;
  readonly bytes: number;
  /** All that the vault needs is locked until then at least. */
  readonly lockedUntil: string;
}

const AT_ONCE = 16;
const SHARDS_AT_ONCE = 16;
/** Whoever is cut off has less than this to do again. */
const OBJECTS_PER_ENTRY = 5000;
const HOUR_MS = 3_600_000;

/**
 * Extends the locks of all that lasts and has not been condemned, shard by shard, as soon as less than half of their time is left: so each
 * object costs a request every `days / 2`. A shard is done when the journal says so; who is cut off goes on there the next time.
 * It reads no record, so damage does not stop it. Throws `bad-input` (nothing is locked here), `store-failed`, what the journal
 * throws, and the signal's reason.
 */
export async function extendLocks(vault: Vault, request: ExtensionRequest = {}): Promise<ExtensionReport> {
  const { lock, locking } = lockingOf(vault);
  const { dryRun = false } = request;
  const now = (await locking.now()).getTime();
  const state = await vault.journal.refresh();
  const due = dueShards(state, lock, now);
  const sums = { objects: 0, bytes: 0 };
  // Objects that were begun before now may get locks that end a little earlier.
  const until = new Date(now + lockMs(lock) - Math.min(HOUR_MS, lockMs(lock) / 100)).toISOString();
  const extend = async (object: StoredVersions): Promise<void> => {
    request.signal?.throwIfAborted();
    if (!dryRun) await locking.extend(object, new Date(now + lockMs(lock))).catch(unlessMissing);
    sums.objects++;
    sums.bytes += object.size;
    request.onProgress?.(sums.objects);
  };
  if (due.length > 0) await inLanes(AT_ONCE, firstToCount(locking, new Set(due)), extend);
  const inOrder = openShardedListing(locking, state);
  for (let at = 0, recorded = 0, done: number[] = []; at < due.length; at += SHARDS_AT_ONCE) {
    const some = due.slice(at, at + SHARDS_AT_ONCE);
    await inLanes(AT_ONCE, inOrder(new Set(some)), extend);
    done.push(...some);
    if (dryRun || (sums.objects - recorded < OBJECTS_PER_ENTRY && at + SHARDS_AT_ONCE < due.length)) continue;
    const shards = done;
    await vault.journal.append(() => ({ type: 'locks-extended', shards, until, at: new Date(now).toISOString() }));
    [recorded, done] = [sums.objects, []];
  }
  const lockedUntil = new Date(earliestEnd(vault.journal.state(), lock)).toISOString();
  return { dryRun, shards: due.length, ...sums, lockedUntil };
}

/** When the first lock ends of all that the vault needs, in milliseconds since 1970. */
export function earliestEnd(state: VaultState, lock: VaultLock): number {
  return Math.min(...ALL_SHARDS.map((shard) => endOf(state, lock, shard)));
}

function lockingOf({ description: { lock }, store: { locking, url } }: Vault) {
  if (lock === undefined)
    throw new EkkoError('bad-input', `The vault in ${url} is not locked: there is nothing to extend.`);
  if (locking !== undefined) return { lock, locking };
  throw new EkkoError('bad-input', `${url} holds a replica of a locked vault, and is no store that locks objects.`);
}

const ALL_SHARDS = Array.from({ length: SHARDS }, (_, shard) => shard);

function dueShards(state: VaultState, lock: VaultLock, now: number): number[] {
  return ALL_SHARDS.filter((shard) => endOf(state, lock, shard) - now < lockMs(lock) / 2);
}

/** What has never been extended is locked from when it was made, which is no sooner than the vault. */
function endOf({ lockedUntil, epochs }: VaultState, lock: VaultLock, shard: number): number {
  const until = lockedUntil.get(shard);
  return until === undefined ? Date.parse(epochs[0]?.at ?? '1970-01-01') + lockMs(lock) : Date.parse(until);
}

/** The journal, the key objects and `vault.json`, as far as they belong to the shards. */
async function* firstToCount(locking: ObjectLocking, shards: ReadonlySet<number>): AsyncGenerator<StoredVersions> {
  for await (const object of locking.versions(Folder.journal)) {
    const [, position] = /^journal\/(\d{20})$/.exec(object.key) ?? [];
    if (position !== undefined && shards.has(Number(position) % SHARDS)) yield object;
  }
  for await (const object of locking.versions(Folder.keys)) {
    const name = epochPlaceOf(object.key)?.name;
    if (name !== undefined && shards.has(shardOf(name))) yield object;
  }
  if (!shards.has(0)) return;
  for await (const object of locking.versions(VAULT_JSON)) if (object.key === VAULT_JSON) yield object;
}

/** Content-named objects that have not been condemned, of ascending sets of shards: each folder is listed once. */
function openShardedListing(locking: ObjectLocking, { condemned }: VaultState) {
  const listings = CONTENT_NAMED.map((folder) => peekable(locking.versions(folder)));
  return async function* (shards: ReadonlySet<number>): AsyncGenerator<StoredVersions> {
    const last = Math.max(...shards);
    for (const listing of listings) {
      for (let next = await listing.peek(); next !== undefined; next = await listing.peek()) {
        const name = nameOf(next.key);
        if (name !== undefined && shardOf(name) > last) break;
        listing.step();
        if (name !== undefined && shards.has(shardOf(name)) && !condemned.has(name)) yield next;
      }
    }
  };
}

function peekable<T>(items: AsyncIterable<T>) {
  const iterator = items[Symbol.asyncIterator]();
  let next: Promise<IteratorResult<T>> | undefined;
  return {
    async peek(): Promise<T | undefined> {
      next ??= iterator.next();
      const found = await next;
      return found.done ? undefined : found.value;
    },
    step: () => {
      next = undefined;
    },
  };
}

function shardOf(name: string): number {
  return Number.parseInt(name.slice(0, 2), 16);
}

/** What was listed and is gone was not needed: it had been removed. */
function unlessMissing(error: unknown): void {
  if (codeOf(error) !== 'object-missing') throw error;
}
