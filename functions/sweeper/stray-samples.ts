import { codeOf } from '#vault/errors.ts';
import { checkName, contentKey, Folder } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import type { Vault } from '#vault/vault.ts';
import { inLanes } from './in-lanes.ts';
import type { Liveness } from './liveness.ts';

const AT_ONCE = 32;
const KEYS_PER_REMOVAL = 1000;
const NAME_DIGITS = 64;

/**
 * Removes samples that tell of packs which are not there any more, or of none: a request for each sample. Returns how many went.
 * Samples of packs that no point needs yet stay: their runs may commit. Throws `store-failed`.
 */
export async function removeStraySamples(vault: Vault, liveness: Liveness): Promise<number> {
  const { condemned } = vault.journal.state();
  const strays: string[] = [];
  await inLanes(AT_ONCE, vault.store.list(Folder.samples), async ({ key, size }) => {
    const pack = size < NAME_DIGITS ? undefined : await packOf(vault.store, key);
    const gone =
      pack === undefined ||
      condemned.has(pack) ||
      (liveness.isDead('packs', pack) && !(await exists(vault.store, pack)));
    if (gone) strays.push(key);
  });
  for (let at = 0; at < strays.length; at += KEYS_PER_REMOVAL) {
    await vault.store.remove(strays.slice(at, at + KEYS_PER_REMOVAL));
  }
  return strays.length;
}

/** The pack that a sample tells of; undefined where it is no sample, or gone. */
async function packOf(store: ObjectStore, key: string): Promise<string | undefined> {
  try {
    return checkName((await store.get(key, { start: 0, end: NAME_DIGITS })).toString('latin1'));
  } catch (error) {
    if (codeOf(error) === 'object-missing' || codeOf(error) === 'bad-format') return undefined;
    throw error;
  }
}

async function exists(store: ObjectStore, pack: string): Promise<boolean> {
  try {
    await store.get(contentKey(Folder.packs, pack), { start: 0, end: 1 });
    return true;
  } catch (error) {
    if (codeOf(error) === 'object-missing') return false;
    throw error;
  }
}
