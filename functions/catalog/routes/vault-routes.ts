import { EkkoError } from '#vault/errors.ts';
import { checker } from '../../rim/strict-ajv.ts';
import type { Caller } from '../caller.ts';
import type { ApiRequest, CallerRoute, Catalog } from '../catalog.ts';
import { checkRecord, readRecord, requireRecord, type VaultRecord } from '../registry/records.ts';
import { VAULT_WISH } from '../schemas.ts';
import { nameIn } from './names.ts';
import { pageOf } from './page.ts';

interface VaultWish {
  readonly store: string;
  readonly recipients: readonly string[];
  readonly escrow?: 'waived';
}

const checkWish = checker<VaultWish>(VAULT_WISH, 'The vault');

/** Vaults of a project: what they are called, where they lie, how their key is found. */
export const VAULT_ROUTES: readonly CallerRoute[] = [
  { method: 'PUT', path: '/v1/vaults/{vault}', right: 'write', serve: putVault },
  {
    ...{ method: 'GET', path: '/v1/vaults/{vault}', right: 'read' },
    serve: async ({ registry }, { params }, { project }) => {
      const { value } = await requireRecord(registry, 'vaults', project, nameIn(params, 'vault'));
      return { status: 200, body: shown(value) };
    },
  },
  {
    ...{ method: 'GET', path: '/v1/vaults', right: 'read' },
    serve: async ({ registry }, { query }, { project }) => {
      const { records, next } = await registry.list(['vaults', project], pageOf(query));
      return {
        status: 200,
        body: { vaults: records.map(({ record }) => shown(checkRecord('vaults', record))), ...(next && { next }) },
      };
    },
  },
  { method: 'DELETE', path: '/v1/vaults/{vault}', right: 'write', serve: forgetVault },
];

async function putVault(catalog: Catalog, { params, body }: ApiRequest, caller: Caller) {
  const vault = nameIn(params, 'vault');
  const { store, recipients, escrow } = checkWish(structuredClone(body));
  const found = await readRecord(catalog.registry, 'vaults', caller.project, vault);
  if (found !== undefined && found.value.store !== store) {
    throw new EkkoError(
      'object-exists',
      `Vault ${vault} lies in ${found.value.store}. Delete it here first, or choose another name.`,
    );
  }
  const made = await catalog.runs.once(`vault ${caller.project} ${vault}`, () =>
    catalog.tenants.make(caller, { vault, store, recipients, escrowWaived: escrow === 'waived' }),
  );
  if (found !== undefined && found.value.id === made.id) return { status: 200, body: shown(found.value) };
  const record: VaultRecord = { vault, store, ...made, createdAt: catalog.now().toISOString() };
  const outcome = await catalog.registry.write(
    ['vaults', caller.project, vault],
    record,
    found?.version ?? (await lastVersion(catalog, caller, vault)),
  );
  if (outcome === 'written') return { status: 201, body: shown(record) };
  const { value } = await requireRecord(catalog.registry, 'vaults', caller.project, vault);
  return { status: 200, body: shown(value) };
}

/** A record that was forgotten goes on behind its end. */
function lastVersion({ registry }: Catalog, { project }: Caller, vault: string): Promise<number> {
  return registry.lastVersion(['vaults', project, vault]);
}

async function forgetVault({ registry }: Catalog, { params }: ApiRequest, { project }: Caller) {
  const vault = nameIn(params, 'vault');
  const { version, value } = await requireRecord(registry, 'vaults', project, vault);
  if ((await registry.forget(['vaults', project, vault], version)) === 'overtaken') {
    throw new EkkoError('busy', `Vault ${vault} was changed meanwhile. Look at it, and try again.`);
  }
  const how = `Its data stays in ${value.store}, with its key in Barbican: PUT the vault with the same store to use it again.`;
  return { status: 200, body: { vault, store: value.store, message: `Ekko has forgotten vault ${vault}. ${how}` } };
}

function shown({ vault, store, id, access, createdAt }: VaultRecord) {
  return { vault, store, id, access, createdAt };
}
