import { codeOf, EkkoError } from '#vault/errors.ts';
import { barbicanKeyProvider, type KeyManager, storeNewIdentity } from '#vault/keys/barbican-key.ts';
import { fingerprintOf, parseRecipient } from '#vault/keys/identity.ts';
import type { KeyProvider } from '#vault/keys/key-provider.ts';
import { type ReaderSettings, readerSettings } from '#vault/restore/open-reader.ts';
import { VAULT_JSON } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openStore } from '#vault/store/open-store.ts';
import { temporaryUpload } from '#vault/store/swift/temporary-url.ts';
import { createVault, openVault, readDescription, type Vault } from '#vault/vault.ts';
import type { FunctionPlace, VaultFunctions } from '../../rim/vault-functions.ts';
import { actingCaller } from '../acting-caller.ts';
import type { Caller } from '../caller.ts';
import type { CloudEndpoints } from '../settings.ts';
import { openActingStore } from './acting-store.ts';
import type { TenantVault, TenantVaults, WantedVault } from './tenant-vaults.ts';

export interface SwiftVaultsSettings {
  readonly endpoints: Pick<CloudEndpoints, 'swift' | 'barbican'>;
  readonly authorities: string | undefined;
  readonly journalFile: string;
  readonly functions: (place: FunctionPlace) => VaultFunctions;
}

/** How long an exporter may stage parts before it has to ask for another ticket. */
const UPLOAD_MS = 12 * 3_600_000;
/** A token that ends this much later is worth starting functions anew. */
const LATER_MS = 60_000;

/** Vaults in containers of their tenants' own accounts, with keys in Barbican: all with the token of whoever calls. */
export function openSwiftVaults(settings: SwiftVaultsSettings): TenantVaults {
  return {
    make: (caller, wanted) => makeVault(settings, caller, wanted),
    open: (caller, { store, access }) => openTenantVault(settings, caller, urlOf(store), access['secret'] ?? ''),
  };
}

/** `swift:CONTAINER[/PREFIX]` as stores are named. */
function urlOf(place: string): string {
  return place.replace(/^swift:\/*/, 'swift://');
}

function environmentOf(
  { endpoints, authorities }: SwiftVaultsSettings,
  { token, project }: Caller,
): Record<string, string> {
  const account = endpoints.swift.replace(/[%$]\((project_id|tenant_id)\)s/g, encodeURIComponent(project));
  return {
    ...{ OS_AUTH_TYPE: 'token', OS_TOKEN: token, OS_STORAGE_URL: account },
    ...(authorities === undefined ? {} : { OS_CACERT: authorities }),
  };
}

function managerOf({ endpoints }: SwiftVaultsSettings, token: () => string): KeyManager {
  return { endpoint: endpoints.barbican.replace(/\/$/, ''), token };
}

async function makeVault(settings: SwiftVaultsSettings, caller: Caller, wanted: WantedVault) {
  const store = await openStore(urlOf(wanted.store), environmentOf(settings, caller));
  const manager = managerOf(settings, () => caller.token);
  const secret = await secretIn(store);
  if (secret === undefined) return createNew(settings, manager, store, wanted);
  const vault = await openVault(store, barbicanKeyProvider(manager, secret), settings.journalFile);
  if (wanted.escrowWaived && vault.journal.state().escrow === 'missing') {
    await vault.journal.append(() => ({ type: 'escrow-waived', at: new Date().toISOString() }));
  }
  return { id: vault.id, access: { secret } };
}

async function createNew(settings: SwiftVaultsSettings, manager: KeyManager, store: ObjectStore, wanted: WantedVault) {
  const others = wanted.recipients.map(parseRecipient);
  const { identity, secret } = await storeNewIdentity(manager, `ekko vault ${wanted.vault}`);
  const vault = await createVault(store, {
    recipients: [
      { kind: 'barbican', publicKey: identity.publicKey, label: secret },
      ...others.map((publicKey) => ({ kind: 'key-file', publicKey }) as const),
    ],
    noEscrow: wanted.escrowWaived && others.length === 0,
    now: new Date(),
    journalFile: settings.journalFile,
  });
  const [second] = others;
  if (second !== undefined) {
    const at = new Date().toISOString();
    await vault.journal.append(() => ({ type: 'escrow-confirmed', recipient: fingerprintOf(second), at }));
  }
  return { id: vault.id, access: { secret } };
}

/** The secret that `vault.json` names, where there is a vault: nobody vouches for it, but only the tenant's own secrets open by it. */
async function secretIn(store: ObjectStore): Promise<string | undefined> {
  const found = await readDescription(store).catch((error: unknown) => {
    if (error instanceof EkkoError && error.code === 'object-missing') return undefined;
    throw error;
  });
  if (found === undefined) return undefined;
  const label = found.description.epoch.wrapped.find(({ kind }) => kind === 'barbican')?.label;
  if (label !== undefined) return label;
  throw new EkkoError(
    'wrong-key',
    `${store.url}/${VAULT_JSON} names no secret of Barbican: that vault was not made here. Choose another prefix.`,
  );
}

async function openTenantVault(
  settings: SwiftVaultsSettings,
  caller: Caller,
  url: string,
  secret: string,
): Promise<TenantVault> {
  const acting = actingCaller(caller);
  let functions: { readonly by: Caller; readonly started: Promise<VaultFunctions> } | undefined;
  const store = await openActingStore(acting, (by) => openStore(url, environmentOf(settings, by)));
  const kept = keeping(
    barbicanKeyProvider(
      managerOf(settings, () => acting.current().token),
      secret,
    ),
  );
  const vault: Vault = await openVault(store, kept.provider, settings.journalFile);
  const start = async (by: Caller): Promise<VaultFunctions> =>
    settings.functions({
      ...{ vault: url, environment: environmentOf(settings, by), journalFile: settings.journalFile },
      privateKey: await kept.privateKey(),
    });
  const stop = async () => {
    const running = functions;
    functions = undefined;
    await (await running?.started.catch(() => undefined))?.close();
  };
  const invoke = async (name: string, event: unknown): Promise<unknown> => {
    functions ??= { by: acting.current(), started: start(acting.current()) };
    const running = functions;
    try {
      return await (await running.started).invoke(name, event);
    } catch (error) {
      // A token can end before its time: revoked, or with its trust. Then the functions go on with another one that came by.
      if (codeOf(error) !== 'store-failed') throw error;
      acting.refuse(running.by.token);
      if (running.by.token === acting.current().token) throw error;
      if (functions === running) await stop();
      return invoke(name, event);
    }
  };
  // All moved packs are in them, and they are asked for with each span of a disk: a thread finds out by itself what is moved later.
  let unchanging: ReaderSettings | undefined;
  return {
    vault,
    invoke,
    readerSettings: () => {
      unchanging ??= readerSettings(vault);
      return { ...unchanging, environment: environmentOf(settings, acting.current()) };
    },
    upload: (run) => {
      const until = new Date(Date.now() + UPLOAD_MS);
      return temporaryUpload(url, { folder: `staging/${run}/`, until }, environmentOf(settings, acting.current()));
    },
    async renew(next) {
      acting.offer(next);
      if (functions !== undefined && acting.current().expiresAt >= functions.by.expiresAt + LATER_MS) await stop();
    },
    close: stop,
  };
}

/** Remembers the key for the functions: Barbican is asked once. */
function keeping(provider: KeyProvider) {
  let found: ReturnType<KeyProvider['identity']> | undefined;
  const identity: KeyProvider['identity'] = (offered) => {
    found ??= provider.identity(offered);
    return found;
  };
  return {
    provider: { ...provider, identity },
    privateKey: async () => (await identity([])).privateKey.export(),
  };
}
