import type { Caller } from '../caller.ts';
import type { Catalog } from '../catalog.ts';
import { requireRecord } from '../registry/records.ts';
import type { TenantVault } from './tenant-vaults.ts';

/** Opens a vault of the caller's project for some work, and closes it. Throws `not-found`, what opening it throws, and what the work throws. */
export async function withVault<T>(
  { registry, tenants }: Pick<Catalog, 'registry' | 'tenants'>,
  caller: Caller,
  vault: string,
  work: (tenant: TenantVault) => Promise<T>,
): Promise<T> {
  const { value } = await requireRecord(registry, 'vaults', caller.project, vault);
  const tenant = await tenants.open(caller, value);
  try {
    return await work(tenant);
  } finally {
    await tenant.close();
  }
}
