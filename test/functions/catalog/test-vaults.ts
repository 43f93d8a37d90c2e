import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, EkkoError } from '#vault/errors.ts';
import { decodeTicket } from '#vault/export-ticket.ts';
import { type Identity, newIdentity } from '#vault/keys/identity.ts';
import { createKeyFile, readKeyFile } from '#vault/keys/key-file.ts';
import { openFileStore } from '#vault/store/file-store.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { createVault, openVault, type Vault } from '#vault/vault.ts';
import type { Caller } from '../../../functions/catalog/caller.ts';
import type { TenantVault, TenantVaults } from '../../../functions/catalog/vaults/tenant-vaults.ts';
import { commitRun, type LeftOut } from '../../../functions/point-committer/commit-run.ts';
import { type StagedCopy, stageCopy } from '../../../functions/replicator/stage-copy.ts';
import { applyRetention } from '../../../functions/retention/apply-retention.ts';
import { stagedKeysOf } from '../../../functions/rim/staging-event.ts';
import { openPartProcessor } from '../../../functions/segment-processor/process-part.ts';
import { sweepVault } from '../../../functions/sweeper/sweep-vault.ts';
import { chooseShards } from '../../../functions/verifier/choose-shards.ts';
import { verifyVault } from '../../../functions/verifier/verify-vault.ts';

/** Where tenants' vaults lie in a test, by name; a key belongs to each. */
export interface Places {
  store(name: string): ObjectStore;
  key(name: string): Promise<Identity>;
}

export function memoryPlaces(): Places {
  const stores = new Map<string, ObjectStore>();
  const keys = new Map<string, Identity>();
  return {
    store(name) {
      const store = stores.get(name) ?? openMemoryStore();
      stores.set(name, store);
      return store;
    },
    async key(name) {
      const key = keys.get(name) ?? newIdentity().identity;
      keys.set(name, key);
      return key;
    },
  };
}

/** Below `folder`: for processes that share them, or die. */
export function filePlaces(folder: string): Places {
  return {
    store: (name) => openFileStore(join(folder, name, 'vault')),
    async key(name) {
      await mkdir(join(folder, name), { recursive: true });
      return readKeyFile(join(folder, name, 'key')).catch(() => createKeyFile(join(folder, name, 'key')));
    },
  };
}

export interface TestVaults extends TenantVaults {
  readonly places: Places;
  /** Opens a tenant's vault to look into it. */
  look(project: string, store: string): Promise<Vault>;
  /** Vaults that are open now. */
  openNow(): number;
  /** Set: functions fail with it. */
  failure: Error | undefined;
  /** Set: functions begin when it is fulfilled. */
  gate: Promise<void> | undefined;
}

/** Vaults of tenants with the functions called in this thread. Their uploads go to `http://place/<name>/`. */
export function openTestVaults(places: Places): TestVaults {
  const placeOf = (project: string, store: string) => `${project}-${store.replaceAll(/[^a-z0-9]/g, '-')}`;
  const providerOf = (name: string) => ({ origin: 'test', identity: () => places.key(name) });
  const look = (project: string, store: string) => {
    const name = placeOf(project, store);
    return openVault(places.store(name), providerOf(name));
  };
  let open = 0;
  const vaults: TestVaults = {
    ...{ places, failure: undefined, gate: undefined, look, openNow: () => open },
    async make(caller: Caller, { store, escrowWaived }) {
      const name = placeOf(caller.project, store);
      const found = await look(caller.project, store).catch((error: unknown) => {
        if (codeOf(error) !== 'object-missing') throw error;
        return undefined;
      });
      const recipients = [{ kind: 'key-file', publicKey: (await places.key(name)).publicKey }] as const;
      const vault =
        found ?? (await createVault(places.store(name), { recipients, noEscrow: escrowWaived, now: new Date() }));
      return { id: vault.id, access: { secret: 'test' } };
    },
    async open(caller, { store }) {
      const vault = await look(caller.project, store);
      open += 1;
      const processor = openPartProcessor(vault, 1);
      const tenant: TenantVault = {
        vault,
        invoke: async (name, event) => {
          await vaults.gate;
          if (vaults.failure !== undefined) throw vaults.failure;
          if (name === 'replicator') return stage(vault, places, event);
          return call(vault, processor, name, event);
        },
        upload: async () => ({ url: `http://place/${placeOf(caller.project, store)}/`, query: '?temp_url_sig=secret' }),
        // A store in memory is this thread's.
        readerSettings: undefined,
        renew: async () => undefined,
        close: async () => {
          open -= 1;
        },
      };
      return tenant;
    },
  };
  return vaults;
}

/** As the replicator's handler does, but into the place of that name. */
async function stage(vault: Vault, places: Places, event: unknown) {
  const { ticket: given, ...rest } = event as CopyEvent;
  const ticket = decodeTicket(given, 'The ticket');
  const staging = places.store(/^http:\/\/place\/(.*)\/$/.exec(ticket.upload.url)?.[1] ?? '');
  await vault.journal.refresh();
  return { bytesRead: await stageCopy(vault, { ...rest, ticket, staging }) };
}

type CopyEvent = Omit<StagedCopy, 'ticket' | 'staging'> & { readonly ticket: unknown };

async function call(
  vault: Vault,
  processor: ReturnType<typeof openPartProcessor>,
  name: string,
  event: unknown,
): Promise<unknown> {
  const now = new Date();
  if (name === 'segment-processor') {
    const { Records } = event as { Records: { body: string }[] };
    for (const { body } of Records) for (const key of stagedKeysOf(body)) await processor.process(key);
    return undefined;
  }
  if (name === 'point-committer') {
    const { run, ...leftOut } = event as LeftOut & { run: string };
    return commitRun(vault, run, now, leftOut);
  }
  const { dryRun, percent } = event as { dryRun: boolean; percent: number };
  if (name === 'retention') return applyRetention(vault, { group: undefined, dryRun, confirmed: false, now });
  if (name === 'sweeper') return { sweep: await sweepVault(vault, { now, dryRun }) };
  if (name === 'verifier') {
    const state = await vault.journal.refresh();
    return verifyVault({
      store: vault.store,
      keyring: vault.keyring,
      journal: vault.journal,
      points: [...state.points.values()],
      shards: chooseShards(state, percent, true),
      threads: undefined,
    });
  }
  throw new EkkoError('function-failed', `There is no function ${name}.`);
}
