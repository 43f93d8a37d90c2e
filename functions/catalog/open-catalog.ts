import type { ObjectStore } from '#vault/store/object-store.ts';
import type { Catalog } from './catalog.ts';
import { openTokenChecker } from './cloud/token-checker.ts';
import { openRegistry } from './registry/registry.ts';
import { openRuns } from './runs/open-runs.ts';
import type { CatalogSettings } from './settings.ts';
import type { TenantVaults } from './vaults/tenant-vaults.ts';

/** The catalog over an operator's registry, and vaults that are opened with their tenants' rights. Nothing is read yet. */
export function openCatalog(settings: CatalogSettings, store: ObjectStore, tenants: TenantVaults): Catalog {
  const registry = openRegistry(store);
  const { keystone, endpoints, public_url: publicUrl, limits } = settings;
  return {
    ...{ registry, tenants, endpoints, publicUrl },
    tokens: openTokenChecker(keystone),
    runs: openRuns(registry, tenants),
    background: new Map(),
    limits: { requestsPerMinute: limits.requests_per_minute, refusalsPerMinute: limits.refusals_per_minute },
    now: () => new Date(),
  };
}
