import { isAuthentic, type ReadEpochDescription } from '../format/epoch-description.ts';
import { openSecrets } from '../format/key-epoch.ts';
import type { VaultDescription } from '../format/vault-description.ts';
import { deriveEpochKeys, type EpochKeys } from '../keys/epoch-keys.ts';
import type { Identity } from '../keys/identity.ts';
import { unwrapRootKey } from '../keys/recipients.ts';

/** The keys of an epoch, and the root key that they come from. */
export interface RootedKeys {
  readonly root: Buffer;
  readonly keys: EpochKeys;
}

/**
 * All root keys that one identity can open, by epoch. Whoever knows its public key can have added wrong ones: which are right, only
 * `vault.json` and the journal tell.
 */
export interface RootPool {
  /** Takes up what a key object gives. Throws `damaged` when what is sealed to the identity does not open. */
  addObject(object: ReadEpochDescription): Promise<void>;
  /** Takes up what `vault.json` gives. Throws `damaged`. */
  addFirst(description: VaultDescription): Promise<void>;
  of(epoch: number): readonly RootedKeys[];
}

export function newRootPool(identity: Identity, vault: string): RootPool {
  const pool = new Map<number, RootedKeys[]>();
  const add = (epoch: number, root: Buffer): EpochKeys => {
    const held = pool.get(epoch) ?? [];
    const known = held.find((each) => each.root.equals(root));
    if (known) return known.keys;
    const keys = deriveEpochKeys(root, vault, epoch);
    pool.set(epoch, [...held, { root, keys }]);
    return keys;
  };
  return {
    of: (epoch) => pool.get(epoch) ?? [],
    async addFirst({ epoch }) {
      const root = await unwrapRootKey(epoch.wrapped, identity, { vault, epoch: epoch.number });
      if (root !== undefined) add(epoch.number, root);
    },
    async addObject(object) {
      const { epoch } = object.description;
      const root = await unwrapRootKey(epoch.wrapped, identity, { vault, epoch: epoch.number });
      if (root === undefined) return;
      const keys = deriveEpochKeys(root, vault, epoch.number);
      if (!isAuthentic(keys, object)) return;
      const { earlier } = openSecrets(keys, epoch, `The secrets of key epoch ${epoch.number}`);
      add(epoch.number, root);
      for (const [i, older] of earlier.slice(0, epoch.number - 1).entries()) add(i + 1, Buffer.from(older));
    },
  };
}
