import { randomUUID } from 'node:crypto';
import { EkkoError } from '#vault/errors.ts';
import type { RetentionPolicy } from '#vault/journal/entries.ts';
import type { Vault } from '#vault/vault.ts';
import type { Caller } from '../caller.ts';
import type { Catalog } from '../catalog.ts';
import type { PolicyRetention } from '../policies/policy-schema.ts';
import { checkRecord, readRecord, requireRecord, type UpkeepRecord } from '../registry/records.ts';
import type { TenantVault } from '../vaults/tenant-vaults.ts';

export interface UpkeepWish {
  readonly retention: boolean;
  readonly sweep: boolean;
  /** Percent of the vault. */
  readonly verify: number;
  readonly dryRun: boolean;
}

/** Upkeeps under way in this process, by project and vault. */
export type RunningUpkeeps = Map<string, Promise<void>>;

/** What the registry takes of the functions' reports. */
const LARGEST_REPORT = 64 * 1024;

/**
 * Starts retention, sweep and verification of a vault, in this order, by the functions that do them, with the caller's token. Answers at
 * once. Throws `bad-input` where nothing is asked for, `busy` while one is under way here, `not-found`, and what opening the vault throws.
 */
export async function startUpkeep(
  catalog: Catalog,
  caller: Caller,
  vault: string,
  wish: UpkeepWish,
): Promise<UpkeepRecord> {
  if (!wish.retention && !wish.sweep && wish.verify === 0) {
    throw new EkkoError('bad-input', 'Say what is to be done: "retention": true, "sweep": true, "verify": 5.');
  }
  const name = `${caller.project} ${vault}`;
  const { value } = await requireRecord(catalog.registry, 'vaults', caller.project, vault);
  if (catalog.upkeeps.has(name))
    throw new EkkoError('busy', `An upkeep of vault ${vault} is under way: GET /v1/vaults/${vault}/upkeep.`);
  const begun: UpkeepRecord = { upkeep: randomUUID(), state: 'running', startedAt: catalog.now().toISOString() };
  catalog.upkeeps.set(name, Promise.resolve());
  try {
    const tenant = await catalog.tenants.open(caller, value);
    await write(catalog, caller, vault, begun);
    const work = carryOut(catalog, caller, vault, wish, tenant, begun).finally(() => catalog.upkeeps.delete(name));
    catalog.upkeeps.set(name, work);
    return begun;
  } catch (error) {
    catalog.upkeeps.delete(name);
    throw error;
  }
}

/** The upkeep that was started last, wherever it runs. Throws `not-found`. */
export async function lastUpkeep({ registry }: Catalog, { project }: Caller, vault: string): Promise<UpkeepRecord> {
  await requireRecord(registry, 'vaults', project, vault);
  return (await requireRecord(registry, 'upkeeps', project, vault)).value;
}

async function carryOut(
  catalog: Catalog,
  caller: Caller,
  vault: string,
  wish: UpkeepWish,
  tenant: TenantVault,
  begun: UpkeepRecord,
) {
  const ended = (rest: Partial<UpkeepRecord>): UpkeepRecord => ({
    ...begun,
    state: 'done',
    endedAt: catalog.now().toISOString(),
    ...rest,
  });
  const outcome = await doAll(catalog, caller, vault, wish, tenant).then(
    (report) => ended({ report }),
    (error: unknown) =>
      ended({ state: 'failed', problem: error instanceof Error ? error.message.slice(0, 1000) : 'unknown' }),
  );
  await tenant.close().catch(() => undefined);
  // Should the registry be away, the record says that it still runs, and the next upkeep begins anew.
  await write(catalog, caller, vault, outcome).catch(() => undefined);
}

async function doAll(catalog: Catalog, caller: Caller, vault: string, wish: UpkeepWish, tenant: TenantVault) {
  const { dryRun } = wish;
  const report: Record<string, unknown> = {};
  if (wish.retention) {
    if (!dryRun) await setRetention(catalog, caller, vault, tenant.vault);
    report['retention'] = await tenant.invoke('retention', { dryRun });
  }
  if (wish.sweep) report['sweep'] = await tenant.invoke('sweeper', { dryRun });
  if (wish.verify > 0) report['verify'] = await tenant.invoke('verifier', { percent: wish.verify });
  return bounded(report);
}

function bounded(report: Record<string, unknown>): Record<string, unknown> {
  const size = Buffer.byteLength(JSON.stringify(report));
  return size <= LARGEST_REPORT ? report : { message: `The report has ${size} bytes: see the functions' log.` };
}

/** Tells the journal the retention rules of the vault's policies, where they are not the ones in force. */
async function setRetention(
  { registry, now }: Catalog,
  { project }: Caller,
  vault: string,
  { journal }: Vault,
): Promise<void> {
  let marker: string | undefined;
  do {
    const { records, next } = await registry.list(['policies', project], { limit: 200, marker });
    for (const { policy: group, definition } of records.map(({ record }) => checkRecord('policies', record))) {
      if (definition.vault !== vault || definition.retention === undefined) continue;
      const policy = retentionOf(definition.retention);
      if (same(policy, (await journal.refresh()).retention.get(group)?.policy)) continue;
      await journal.append(() => ({ type: 'retention-set', group, policy, confirmed: false, at: now().toISOString() }));
    }
    marker = next;
  } while (marker !== undefined);
}

const HOURS: Readonly<Record<string, number>> = { h: 1, d: 24, w: 168 };

/** The rules as the journal has them. */
export function retentionOf({ within, ...counts }: PolicyRetention): RetentionPolicy {
  const [, count, unit = ''] = /^(\d+)([hdw])$/.exec(within ?? '') ?? [];
  return { ...counts, ...(count === undefined ? {} : { withinHours: Number(count) * (HOURS[unit] ?? 1) }) };
}

function same(a: RetentionPolicy, b: RetentionPolicy | undefined): boolean {
  const sorted = (policy: RetentionPolicy | undefined) => JSON.stringify(Object.entries(policy ?? {}).sort());
  return sorted(a) === sorted(b);
}

async function write({ registry }: Catalog, { project }: Caller, vault: string, record: UpkeepRecord): Promise<void> {
  const found = await readRecord(registry, 'upkeeps', project, vault);
  await registry.write(['upkeeps', project, vault], record, found?.version ?? 0);
}
