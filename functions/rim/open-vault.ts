import { getEnvironmentData } from 'node:worker_threads';
import { keyFileProvider } from '#vault/keys/key-provider.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openStore } from '#vault/store/open-store.ts';
import { type SharedStaging, withSharedStaging } from '#vault/store/shared-staging.ts';
import { openVault, type Vault } from '#vault/vault.ts';
import { type FunctionSettings, readSettings } from './settings.ts';

export interface Opened {
  readonly vault: Vault;
  readonly settings: FunctionSettings;
}

/** Opens the vault that the environment names, at the first call; a failure is tried again at the next one. */
export function openOnce(environment: NodeJS.ProcessEnv): () => Promise<Opened> {
  let opening: Promise<Opened> | undefined;
  return () => {
    opening ??= open(readSettings(environment)).catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return opening;
  };
}

async function open(settings: FunctionSettings): Promise<Opened> {
  const keys = keyFileProvider(settings.EKKO_KEY_FILE);
  const vault = await openVault(await storeOf(settings), keys, settings.EKKO_JOURNAL_FILE);
  return { vault, settings };
}

/** Names the shared staging memory among the data that a function host gives its worker threads. */
export const SHARED_STAGING = 'ekko shared staging';

async function storeOf({ EKKO_VAULT }: FunctionSettings): Promise<ObjectStore> {
  const store = await openStore(EKKO_VAULT);
  const staging = getEnvironmentData(SHARED_STAGING) as SharedStaging | undefined;
  return staging === undefined ? store : withSharedStaging(store, staging);
}
