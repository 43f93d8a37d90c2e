import { codeOf } from '#vault/errors.ts';
import { contentName, nameOf } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';

/** What became of one damaged or missing object. */
export interface RepairedObject {
  readonly key: string;
  /** `left`: the copy does not have it, or what it has is damaged too, or the store did not take it. */
  readonly outcome: 'repaired' | 'repairable' | 'left';
}

/**
 * Puts objects back from a replica of the vault: bytes of the same name are the same bytes, whoever gives them, so no key is needed.
 * Each is fetched and compared with its name before the damaged one is removed, and only while that is damaged still; a crash in
 * between leaves it missing, and the next repair puts it back. `dryRun`: only says what could be. Throws `store-failed`.
 */
export async function repairObjects(
  store: ObjectStore,
  replica: Pick<ObjectStore, 'get'>,
  keys: readonly string[],
  dryRun: boolean,
): Promise<RepairedObject[]> {
  const repaired: RepairedObject[] = [];
  for (const key of keys) repaired.push({ key, outcome: await repairOne(store, replica, key, dryRun) });
  return repaired;
}

async function repairOne(
  store: ObjectStore,
  replica: Pick<ObjectStore, 'get'>,
  key: string,
  dryRun: boolean,
): Promise<RepairedObject['outcome']> {
  const bytes = await soundCopy(replica, key);
  if (bytes === undefined) return 'left';
  if (dryRun) return 'repairable';
  if ((await soundCopy(store, key)) !== undefined) return 'repaired';
  const kept = await store.remove([key]);
  // What is locked and rotten stays, below what is sound.
  if (kept.length > 0) await store.locking?.cover(key, bytes);
  else await store.create(key, [bytes]);
  return (await soundCopy(store, key)) === undefined ? 'left' : 'repaired';
}

/** The object's bytes, if they are those of its name. */
async function soundCopy(store: Pick<ObjectStore, 'get'>, key: string): Promise<Buffer | undefined> {
  try {
    const bytes = await store.get(key);
    return contentName([bytes]) === nameOf(key) ? bytes : undefined;
  } catch (error) {
    if (codeOf(error) === 'object-missing' || codeOf(error) === 'damaged') return undefined;
    throw error;
  }
}
