import { EkkoError } from '#vault/errors.ts';
import type { RetentionPolicy } from '#vault/journal/entries.ts';
import type { Vault } from '#vault/vault.ts';
import { seenNow, startInBackground } from '../background/background.ts';
import type { Caller } from '../caller.ts';
import type { Catalog } from '../catalog.ts';
import { copyGroups } from '../copies/copy-groups.ts';
import { policiesOf } from '../policies/policies-of.ts';
import type { PolicyRetention } from '../policies/policy.ts';
import { requireRecord, type UpkeepRecord } from '../registry/records.ts';
import type { TenantVault } from '../vaults/tenant-vaults.ts';

export interface UpkeepWish {
  /** What policies want copied to other vaults. */
  readonly copy: boolean;
  readonly retention: boolean;
  readonly sweep: boolean;
  /** Percent of the vault. */
  readonly verify: number;
  readonly dryRun: boolean;
}

/** What may take points away that have no copy yet. */
const REMOVING = ['retention', 'sweep'] as const;

/** What the registry takes of the functions' reports. */
const LARGEST_REPORT = 64 * 1024;

/**
 * Starts copies, retention, sweep and verification of a vault, in this order, by the functions that do them, with the caller's token.
 * Where a copy fails, retention and sweep are left out. Answers at once. Throws `bad-input` where nothing is asked for, `busy` while one is under way, `not-found`, and what opening the vault
 * throws.
 */
export async function startUpkeep(
  catalog: Catalog,
  caller: Caller,
  vault: string,
  wish: UpkeepWish,
): Promise<UpkeepRecord> {
  if (!wish.copy && !wish.retention && !wish.sweep && wish.verify === 0) {
    throw new EkkoError('bad-input', 'Say what is to be done: "retention": true, "sweep": true, "verify": 5.');
  }
  const { value } = await requireRecord(catalog.registry, 'vaults', caller.project, vault);
  const place = { kind: 'upkeeps', path: [caller.project, vault], what: `An upkeep of vault ${vault}` } as const;
  return startInBackground(catalog, place, {}, async () => {
    const tenant = await catalog.tenants.open(caller, value);
    return () => doAll(catalog, caller, vault, wish, tenant).finally(() => tenant.close().catch(() => undefined));
  });
}

/** The upkeep that was started last, wherever it runs. Throws `not-found`. */
export async function lastUpkeep(catalog: Catalog, { project }: Caller, vault: string): Promise<UpkeepRecord> {
  await requireRecord(catalog.registry, 'vaults', project, vault);
  return seenNow((await requireRecord(catalog.registry, 'upkeeps', project, vault)).value, catalog.now());
}

async function doAll(catalog: Catalog, caller: Caller, vault: string, wish: UpkeepWish, tenant: TenantVault) {
  const { dryRun } = wish;
  const report: Record<string, unknown> = {};
  // Before anything expires: what has no copy yet could never get one.
  const copies = wish.copy && !dryRun ? await copyGroups(catalog, caller, vault) : [];
  if (copies.length > 0) report['copies'] = copies;
  const uncopied = copies.find((copy) => copy.problem !== undefined)?.problem;
  const leftOut = uncopied === undefined ? [] : REMOVING.filter((each) => wish[each]);
  if (leftOut.length > 0) report['leftOut'] = leftOut;
  if (wish.retention && uncopied === undefined) {
    if (!dryRun) await setRetention(catalog, caller, vault, tenant.vault);
    report['retention'] = await tenant.invoke('retention', { dryRun });
  }
  if (wish.sweep && uncopied === undefined) report['sweep'] = await tenant.invoke('sweeper', { dryRun });
  if (wish.verify > 0) report['verify'] = await tenant.invoke('verifier', { percent: wish.verify });
  return { report: bounded(report), ...(uncopied === undefined ? {} : { problem: problemOf(uncopied, leftOut) }) };
}

function problemOf(uncopied: string, leftOut: readonly string[]): string {
  if (leftOut.length === 0) return uncopied;
  return `${uncopied.slice(0, 900)} Left out until copies are made: ${leftOut.join(', ')}.`;
}

function bounded(report: Record<string, unknown>): Record<string, unknown> {
  const size = Buffer.byteLength(JSON.stringify(report));
  return size <= LARGEST_REPORT ? report : { message: `The report has ${size} bytes: see the functions' log.` };
}

/** Tells the journal the retention rules of policies whose points or copies are in the vault, where they are not the ones in force. */
async function setRetention(catalog: Catalog, { project }: Caller, vault: string, { journal }: Vault): Promise<void> {
  for await (const { policy: group, definition } of policiesOf(catalog.registry, project)) {
    const concerned = definition.vault === vault || definition.copyTo?.vault === vault;
    if (!concerned || definition.retention === undefined) continue;
    const policy = retentionOf(definition.retention);
    if (same(policy, (await journal.refresh()).retention.get(group)?.policy)) continue;
    const at = catalog.now().toISOString();
    await journal.append(() => ({ type: 'retention-set', group, policy, confirmed: false, at }));
  }
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
