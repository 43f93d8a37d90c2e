import { setTimeout as pause } from 'node:timers/promises';
import { codeOf, EkkoError } from '#vault/errors.ts';
import { endOf, seenNow, startInBackground } from '../background/background.ts';
import type { Caller } from '../caller.ts';
import type { Catalog } from '../catalog.ts';
import { type CopyRecord, checkRecord, readRecord, requireRecord, type VaultRecord } from '../registry/records.ts';
import type { TenantVault } from '../vaults/tenant-vaults.ts';
import { copyPoints } from './copy-points.ts';

export interface CopyWish {
  /** The vault that gets the copies. */
  readonly to: string;
  /** Only the restore points of this policy. */
  readonly group?: string;
}

const ASK_AGAIN_MS = 2000;

/**
 * Starts copying the restore points of a vault that another vault of the project does not have yet, each sealed anew for the other vault's
 * own key, with the caller's token. Answers at once. Throws `not-found` for a vault that the project has not, `bad-input` where both are
 * the same, `busy` while one to the same vault is under way, and what opening the vaults throws.
 */
export async function startCopy(catalog: Catalog, caller: Caller, vault: string, wish: CopyWish): Promise<CopyRecord> {
  const { from, onto } = await vaultsOf(catalog, caller, vault, wish.to);
  const place = { ...placeOf(caller, vault, wish.to), what: `A copy of vault ${vault} to vault ${wish.to}` };
  const last = await readRecord(catalog.registry, 'copies', ...place.path);
  const failed = last?.value.failed ?? [];
  const begun = { vault, ...wish, copied: 0, bytesRead: 0, failed };
  return startInBackground(catalog, place, begun, async () => {
    const [source, target] = await openBoth(catalog, caller, from, onto);
    const underWay = () => copiesUnderWay(catalog, caller);
    const work = (copy: string) =>
      copyPoints({ ...{ source, target, group: wish.group, failed, copy, underWay }, ...catalog });
    return (copy) => work(copy).finally(() => closeAll([source, target]));
  });
}

/** The copy to that vault that was started last, wherever it runs. Throws `not-found`. */
export async function lastCopy(catalog: Catalog, caller: Caller, vault: string, to: string): Promise<CopyRecord> {
  await requireRecord(catalog.registry, 'vaults', caller.project, vault);
  const { value } = await requireRecord(catalog.registry, 'copies', caller.project, nameOf(vault, to));
  return seenNow(value, catalog.now());
}

/**
 * Copies, and resolves when that has come to its end. One to the same vault that is under way, here or in another process, is waited for: it may
 * be of another policy, or have begun before the newest point was there. Throws as `startCopy`, but `busy`.
 */
export async function copyNow(catalog: Catalog, caller: Caller, vault: string, wish: CopyWish): Promise<CopyRecord> {
  while (!(await started(catalog, caller, vault, wish))) {
    await endOf(catalog, placeOf(caller, vault, wish.to));
    await pause(ASK_AGAIN_MS);
  }
  await endOf(catalog, placeOf(caller, vault, wish.to));
  return lastCopy(catalog, caller, vault, wish.to);
}

async function started(catalog: Catalog, caller: Caller, vault: string, wish: CopyWish): Promise<boolean> {
  try {
    await startCopy(catalog, caller, vault, wish);
    return true;
  } catch (error) {
    if (codeOf(error) !== 'busy') throw error;
    return false;
  }
}

/** Ids of the project's copies that are under way, in whichever process. */
async function copiesUnderWay({ registry, now }: Catalog, { project }: Caller): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  let marker: string | undefined;
  do {
    const { records, next } = await registry.list(['copies', project], { limit: 200, marker });
    for (const { record } of records) {
      const { id, state } = seenNow(checkRecord('copies', record), now());
      if (state === 'running') ids.add(id);
    }
    marker = next;
  } while (marker !== undefined);
  return ids;
}

function placeOf({ project }: Caller, vault: string, to: string) {
  return { kind: 'copies', path: [project, nameOf(vault, to)] } as const;
}

function nameOf(vault: string, to: string): string {
  return `${vault} ${to}`;
}

async function vaultsOf({ registry }: Catalog, { project }: Caller, vault: string, to: string) {
  const { value: from } = await requireRecord(registry, 'vaults', project, vault);
  const { value: onto } = await requireRecord(registry, 'vaults', project, to);
  if (from.id !== onto.id) return { from, onto };
  const found = vault === to ? `${vault} is that vault itself` : `${to} is another name of vault ${vault}`;
  throw new EkkoError('bad-input', `A vault is not copied to itself: ${found}. Name another one.`);
}

async function openBoth({ tenants }: Catalog, caller: Caller, from: VaultRecord, onto: VaultRecord) {
  const source = await tenants.open(caller, from);
  try {
    return [source, await tenants.open(caller, onto)] as const;
  } catch (error) {
    await closeAll([source]);
    throw error;
  }
}

async function closeAll(tenants: readonly TenantVault[]): Promise<void> {
  await Promise.allSettled(tenants.map((tenant) => tenant.close()));
}
