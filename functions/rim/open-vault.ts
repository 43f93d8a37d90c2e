import { getEnvironmentData } from 'node:worker_threads';
import { EkkoError } from '#vault/errors.ts';
import { identityOf } from '#vault/keys/identity.ts';
import { type KeyProvider, keyFileProvider } from '#vault/keys/key-provider.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openStore } from '#vault/store/open-store.ts';
import { type SharedStaging, withSharedStaging } from '#vault/store/shared-staging.ts';
import { openVault, type Vault } from '#vault/vault.ts';
import { PRIVATE_KEY, SHARED_STAGING } from './inherited-data.ts';
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
  const vault = await openVault(await storeOf(settings), keysOf(settings), settings.EKKO_JOURNAL_FILE);
  return { vault, settings };
}

function keysOf({ EKKO_KEY_FILE }: FunctionSettings): KeyProvider {
  const privateKey = getEnvironmentData(PRIVATE_KEY) as Uint8Array | undefined;
  if (privateKey !== undefined) return { origin: 'the key of the run', identity: async () => identityOf(privateKey) };
  if (EKKO_KEY_FILE !== undefined) return keyFileProvider(EKKO_KEY_FILE);
  throw new EkkoError('bad-input', 'EKKO_KEY_FILE is not set: it names the key file of the vault.');
}

async function storeOf({ EKKO_VAULT }: FunctionSettings): Promise<ObjectStore> {
  const store = await openStore(EKKO_VAULT);
  const staging = getEnvironmentData(SHARED_STAGING) as SharedStaging | undefined;
  return staging === undefined ? store : withSharedStaging(store, staging);
}
