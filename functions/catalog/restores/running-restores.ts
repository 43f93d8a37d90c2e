import { randomUUID } from 'node:crypto';
import pLimit from 'p-limit';
import { actingCaller } from '../acting-caller.ts';
import type { Caller } from '../caller.ts';
import { imagesAt } from '../cloud/images.ts';
import { requireRecord } from '../registry/records.ts';
import type { Registry } from '../registry/registry.ts';
import { updateRecord } from '../registry/update-record.ts';
import type { TenantVault, TenantVaults } from '../vaults/tenant-vaults.ts';
import type { OpenImageSource } from './disk-image-source.ts';
import { Lost } from './restore-changes.ts';
import type { RestoreRecord } from './restore-record.ts';
import { type RestoreWork, type WorkSettings, workOn } from './work-on-restore.ts';

/** Restores that this process works on. Any other process goes on with one whose own has died. */
export interface RunningRestores {
  /**
   * Sees to it that somebody works on a restore that has not ended: this process, unless another one does. If this one does, it goes on with
   * the caller's token, where that is the better one. `tenant`: the vault, where it is open already; it is closed in the end. Throws what opening
   * the vault throws.
   */
  carryOn(caller: Caller, restore: string, tenant?: TenantVault): Promise<RestoreRecord>;
  /** How many restores of the caller's project this process works on. */
  countOf(caller: Caller): number;
  /** Bytes that images of a restore have by now, by disk, where this process works on it. */
  progressOf(caller: Caller, restore: string): ReadonlyMap<string, number>;
  /** Resolves when this process works on it no more; what is half made has been removed. */
  stop(caller: Caller, restore: string): Promise<void>;
  /** Ends all, and lets others go on with them. */
  closeAll(): Promise<void>;
}

export interface RestoreSettings {
  readonly registry: Registry;
  readonly tenants: TenantVaults;
  /** Endpoint of Glance. */
  readonly glance: string | undefined;
  readonly openSource: OpenImageSource;
  readonly now: () => Date;
  /** Who was not seen to work for so long has died. */
  readonly leaseMs: number;
  /** Images that this process makes at a time. */
  readonly atOnce: number;
}

type Running = RestoreWork & { done: Promise<void> };

/** A worker is seen so many times before it could be taken for dead. */
const SEEN_WITHIN_LEASE = 4;

export function openRestores(settings: RestoreSettings): RunningRestores {
  const { registry, tenants, now, leaseMs, openSource } = settings;
  const self = randomUUID();
  const running = new Map<string, Running>();
  const limit = pLimit(settings.atOnce);
  const nameOf = ({ project }: Caller, restore: string) => `${project} ${restore}`;
  const isMine = ({ worker, ended }: RestoreRecord) => ended === undefined && worker?.process === self;
  const isFree = ({ worker, ended }: RestoreRecord) =>
    ended === undefined && (worker === undefined || now().getTime() - Date.parse(worker.seenAt) > leaseMs);
  const seen = () => ({ process: self, seenAt: now().toISOString() });

  async function carryOn(caller: Caller, restore: string, given?: TenantVault): Promise<RestoreRecord> {
    const { value } = await requireRecord(registry, 'restores', caller.project, restore);
    const here = running.get(nameOf(caller, restore));
    if (here === undefined && isFree(value)) return takeOn(caller, value, given);
    await Promise.all([given?.close(), here && renew(here, caller)]);
    return value;
  }

  /** Of several that see it free one gets it. */
  async function takeOn(caller: Caller, { restore, vault }: RestoreRecord, given: TenantVault | undefined) {
    const tenant =
      given ?? (await tenants.open(caller, (await requireRecord(registry, 'vaults', caller.project, vault)).value));
    try {
      const claimed = await updateRecord(registry, 'restores', [caller.project, restore], (record) =>
        isFree(record) ? { ...record, worker: seen() } : record,
      );
      if (isMine(claimed) && !running.has(nameOf(caller, restore))) begin(caller, claimed, tenant);
      else await tenant.close();
      return claimed;
    } catch (error) {
      await tenant.close();
      throw error;
    }
  }

  function begin(caller: Caller, record: RestoreRecord, tenant: TenantVault): void {
    const { restore } = record;
    const acting = actingCaller(caller, () => now().getTime());
    const work = { restore, acting, tenant, progress: new Map<string, number>(), end: new AbortController() };
    const name = nameOf(caller, restore);
    const done = workOn(work, workSettings(caller, restore), record)
      // Whoever asks next goes on.
      .catch(() => undefined)
      .finally(async () => {
        running.delete(name);
        await tenant.close().catch(() => undefined);
      });
    running.set(name, Object.assign(work, { done }));
  }

  function workSettings({ project }: Caller, restore: string): WorkSettings {
    return {
      ...{ images: imagesAt(settings.glance), openSource, limit, now, beatMs: leaseMs / SEEN_WITHIN_LEASE },
      change: (make) =>
        updateRecord(registry, 'restores', [project, restore], (record) => {
          if (!isMine(record)) throw new Lost();
          return make({ ...record, worker: seen() });
        }),
    };
  }

  async function stop(name: string, why: Error): Promise<void> {
    const work = running.get(name);
    work?.end.abort(why);
    await work?.done;
  }

  return {
    carryOn,
    countOf: ({ project }) => [...running.keys()].filter((name) => name.startsWith(`${project} `)).length,
    progressOf: (caller, restore) => running.get(nameOf(caller, restore))?.progress ?? new Map(),
    stop: (caller, restore) => stop(nameOf(caller, restore), new Lost()),
    async closeAll() {
      await Promise.all([...running.keys()].map((name) => stop(name, new Error('The service ends.'))));
    },
  };
}

async function renew(work: Running, caller: Caller): Promise<void> {
  work.acting.offer(caller);
  await work.tenant.renew(caller);
}
