import { LRUCache } from 'lru-cache';
import { type KnownSegments, openKnownSegments } from '#vault/dedupe/known-segments.ts';
import type { Caller } from '../caller.ts';
import { type RunRecord, requireRecord } from '../registry/records.ts';
import type { Registry } from '../registry/registry.ts';
import type { TenantVault, TenantVaults } from '../vaults/tenant-vaults.ts';
import { openRunParts, type RunParts } from './process-parts.ts';

/** A run whose vault this process has open. */
export interface ActiveRun {
  readonly tenant: TenantVault;
  readonly parts: RunParts;
  /** What the vault has, for exporters that may ask. */
  readonly known: KnownSegments;
}

/** Runs under way, in memory: any of them can be opened anew by the next caller, here or in another process. */
export interface OpenRuns {
  /** The vault and the parts of a run, from now on with the caller's token. Throws `not-found`, and what opening the vault throws. */
  open(caller: Caller, run: RunRecord): Promise<ActiveRun>;
  /** Keeps a vault that was opened to start the run. */
  keep(caller: Caller, run: string, tenant: TenantVault): void;
  /** The run has ended: keys and tokens go. */
  close(caller: Caller, run: string): void;
  /** Does the work once for all that ask for it by the same name at the same time. */
  once<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Closes all vaults: what is being processed is finished first. */
  closeAll(): Promise<void>;
}

const MOST_RUNS = 500;
/** A run of which nobody has asked for so long is closed; it goes on when somebody does. */
const IDLE_MS = 3_600_000;

export function openRuns(registry: Registry, tenants: TenantVaults): OpenRuns {
  const active = new LRUCache<string, Promise<ActiveRun>>({
    max: MOST_RUNS,
    ttl: IDLE_MS,
    ttlAutopurge: true,
    updateAgeOnGet: true,
    dispose: (run) => void run.then(({ tenant }) => tenant.close()).catch(() => undefined),
  });
  const working = new Map<string, Promise<unknown>>();
  const nameOf = ({ project }: Caller, run: string) => `${project} ${run}`;
  const activate = (run: string, tenant: TenantVault): ActiveRun => ({
    ...{ tenant, parts: openRunParts(run, tenant), known: openKnownSegments(tenant.vault) },
  });

  return {
    async open(caller, { run, vault }) {
      const name = nameOf(caller, run);
      const opening = active.get(name) ?? openAnew(caller, run, vault);
      active.set(name, opening);
      try {
        const found = await opening;
        await found.tenant.renew(caller);
        return found;
      } catch (error) {
        if (active.peek(name) === opening) active.delete(name);
        throw error;
      }
    },
    keep: (caller, run, tenant) => void active.set(nameOf(caller, run), Promise.resolve(activate(run, tenant))),
    close: (caller, run) => void active.delete(nameOf(caller, run)),
    async closeAll() {
      const open = [...active.values()];
      active.clear();
      await Promise.allSettled(open.map(async (run) => (await run).tenant.close()));
    },
    once<T>(name: string, work: () => Promise<T>): Promise<T> {
      const running = (working.get(name) as Promise<T> | undefined) ?? work().finally(() => working.delete(name));
      working.set(name, running);
      return running;
    },
  };

  async function openAnew(caller: Caller, run: string, vault: string): Promise<ActiveRun> {
    const { value } = await requireRecord(registry, 'vaults', caller.project, vault);
    return activate(run, await tenants.open(caller, value));
  }
}
