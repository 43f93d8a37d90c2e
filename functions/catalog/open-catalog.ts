import pLimit from 'p-limit';
import type { ObjectStore } from '#vault/store/object-store.ts';
import type { Catalog } from './catalog.ts';
import { openTokenChecker } from './cloud/token-checker.ts';
import { openRegistry } from './registry/registry.ts';
import type { OpenImageSource } from './restores/disk-image-source.ts';
import { openRestores } from './restores/running-restores.ts';
import { openRuns } from './runs/open-runs.ts';
import type { CatalogSettings } from './settings.ts';
import type { TenantVaults } from './vaults/tenant-vaults.ts';

/** What the catalog does not do by itself. */
export interface CatalogParts {
  /** The operator's: holds the registry. */
  readonly store: ObjectStore;
  readonly tenants: TenantVaults;
  readonly openSource: OpenImageSource;
  /** A process that was not seen at work on a restore for so long has died. */
  readonly leaseMs?: number;
}

const LEASE_MS = 60_000;

/** The catalog over an operator's registry, and vaults that are opened with their tenants' rights. Nothing is read yet. */
export function openCatalog(settings: CatalogSettings, parts: CatalogParts): Catalog {
  const { store, tenants, openSource, leaseMs = LEASE_MS } = parts;
  const registry = openRegistry(store);
  const { keystone, endpoints, public_url: publicUrl, limits, workers } = settings;
  const now = () => new Date();
  const { glance } = endpoints;
  return {
    ...{ registry, tenants, endpoints, publicUrl, now },
    tokens: openTokenChecker(keystone),
    runs: openRuns(registry, tenants),
    background: new Map(),
    copyTurns: pLimit(1),
    restores: openRestores({ registry, tenants, glance, openSource, now, leaseMs, atOnce: workers }),
    limits: { requestsPerMinute: limits.requests_per_minute, refusalsPerMinute: limits.refusals_per_minute },
  };
}
