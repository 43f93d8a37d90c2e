import { randomBytes } from 'node:crypto';
import { EkkoError } from '#vault/errors.ts';
import type { OpenRun, VaultState } from '#vault/journal/state.ts';
import { abandonRun } from '#vault/runs.ts';
import { newRunId } from '#vault/store/object-names.ts';
import { keepTopology } from '#vault/topologies.ts';
import type { Vault } from '#vault/vault.ts';
import type { Caller } from '../caller.ts';
import type { Catalog } from '../catalog.ts';
import { findDisks, type MemberServer } from '../group/find-disks.ts';
import { resolveGroup, type Warning } from '../group/resolve-group.ts';
import { noteLast } from '../policies/note-last.ts';
import type { PolicyDefinition } from '../policies/policy.ts';
import { type RunMember, type RunRecord, readRecord, requireRecord } from '../registry/records.ts';
import { completeTopology, findTopology } from '../topology/read-topology.ts';
import { unprotectedIn } from '../topology/unprotected.ts';

export interface RunWish {
  readonly policy: string;
  /** The caller's own id: the same one again is the same run. */
  readonly id?: string;
  readonly reason?: string;
}

export interface StartedRun {
  readonly record: RunRecord;
  readonly warnings: readonly Warning[];
  /** False: an earlier call had started it. */
  readonly fresh: boolean;
}

/** Disks of one run at most: what one journal entry holds. */
const MOST_DISKS = 1024;
/** Who started a run in the journal, and has not written it down after so long, has died in between. */
const BROKEN_OFF_MS = 300_000;

/**
 * Starts a run of a policy: finds its members and their disks as they are now, and says so in the vault's journal, which lets a policy
 * have one run at a time. Throws `not-found` (policy, vault), `bad-input` (no member, or too many), `no-escrow`, `run-under-way`.
 */
export async function startRun(catalog: Catalog, caller: Caller, wish: RunWish): Promise<StartedRun> {
  const before = await runOfRequest(catalog, caller, wish.id);
  if (before !== undefined) return before;
  const { value: policy } = await requireRecord(catalog.registry, 'policies', caller.project, wish.policy);
  const { value: vault } = await requireRecord(catalog.registry, 'vaults', caller.project, policy.definition.vault);
  const [{ members, warnings, finding }, tenant] = await Promise.all([
    findMembers(catalog, caller, policy.definition),
    catalog.tenants.open(caller, vault),
  ]);
  try {
    const { run, adopted } = await enterRun(catalog, caller, tenant.vault, wish, members);
    const record = recordOf(run, wish, policy.definition, members, adopted);
    const topology = completeTopology(await finding, members, unprotectedIn(members, warnings));
    // Before the run is written down: whoever repeats a start that broke off comes here again. Without it the point will name what it lacks.
    await keepTopology(tenant.vault, run, topology).catch(() => undefined);
    await writeDown(catalog, caller, record);
    const begun = { run: record.run, begunAt: record.startedAt };
    await noteLast(catalog.registry, caller.project, record.policy, begun).catch(() => undefined);
    catalog.runs.keep(caller, record.run, tenant);
    return { record, warnings, fresh: true };
  } catch (error) {
    await tenant.close();
    throw error;
  }
}

async function runOfRequest(
  { registry }: Catalog,
  { project }: Caller,
  id: string | undefined,
): Promise<StartedRun | undefined> {
  if (id === undefined) return undefined;
  const request = await readRecord(registry, 'requests', project, id);
  if (request === undefined) return undefined;
  const { value } = await requireRecord(registry, 'runs', project, request.value.run);
  return { record: value, warnings: [], fresh: false };
}

async function findMembers(catalog: Catalog, caller: Caller, policy: PolicyDefinition) {
  const group = await resolveGroup(catalog, caller, policy);
  // Beside all that a start does, so that it takes next to no time of its own.
  const finding = findTopology(catalog.endpoints, caller, { ...group, stack: policy.members.stack }, catalog.now());
  const found = await findDisks(group, { caller, policy, digests: 'yes' });
  const disks = found.members.reduce((sum, member) => sum + member.disks.length, 0);
  if (disks === 0) {
    const words = [...new Set(found.members.map(({ problem }) => problem ?? ''))].slice(0, 3).join(' ');
    throw new EkkoError(
      'exporter-failed',
      `None of the ${found.members.length} members of the policy can be backed up now. ${words}`,
    );
  }
  if (disks > MOST_DISKS) {
    throw new EkkoError(
      'bad-input',
      `The policy's members have ${disks} disks; one run takes ${MOST_DISKS}. Split it into several policies.`,
    );
  }
  return { ...found, finding };
}

/** How a run says in the journal which request it comes from. */
function signatureOf({ id }: RunWish): string {
  return `request ${id ?? 'none'}`;
}

/** Appends `run-started`, unless the policy has a run that is under way; one of this very request is taken over. */
async function enterRun(
  catalog: Catalog,
  caller: Caller,
  vault: Vault,
  wish: RunWish,
  members: readonly MemberServer[],
) {
  const now = catalog.now();
  const run = newRunId(now, randomBytes(3));
  const disks = members.flatMap((member) => member.disks.map(({ name }) => name));
  await giveUpBrokenOff(catalog, caller, vault, wish);
  try {
    await vault.journal.append((head) => {
      checkEscrow(head);
      const open = runOf(head, wish.policy);
      if (open !== undefined) throw new Underway(open);
      return {
        type: 'run-started',
        run,
        group: wish.policy,
        disks,
        host: 'catalog',
        process: signatureOf(wish),
        at: now.toISOString(),
      };
    });
    return { run, adopted: undefined };
  } catch (error) {
    if (!(error instanceof Underway)) throw error;
    if (wish.id !== undefined && error.open.process === signatureOf(wish))
      return { run: error.open.run, adopted: error.open };
    throw runUnderWay(wish.policy, error.open);
  }
}

class Underway extends Error {
  readonly open: OpenRun;

  constructor(open: OpenRun) {
    super(`Run ${open.run} is open.`);
    this.open = open;
  }
}

function runOf({ openRuns }: VaultState, policy: string): OpenRun | undefined {
  return [...openRuns.values()].find(({ group }) => group === policy);
}

/** A start that died before anybody was told of its run would be in the way for ever. */
async function giveUpBrokenOff(
  { registry, now }: Catalog,
  { project }: Caller,
  vault: Vault,
  wish: RunWish,
): Promise<void> {
  const open = runOf(await vault.journal.refresh(), wish.policy);
  if (open === undefined || open.host !== 'catalog' || open.process === signatureOf({ ...wish, id: wish.id ?? '' }))
    return;
  if (now().getTime() - Date.parse(open.at) < BROKEN_OFF_MS) return;
  if ((await readRecord(registry, 'runs', project, open.run)) !== undefined) return;
  await abandonRun(vault, open.run, 'its start was broken off', now());
}

/** `run`: what a caller calls it, the id of its request where it has one. */
function runUnderWay(policy: string, { run, at, process }: OpenRun): EkkoError {
  const request = /^request ([0-9a-f-]{36})$/.exec(process ?? '')?.[1];
  const advice = `Commit or abandon it first: DELETE /v1/runs/${run}.`;
  const message = `Policy ${policy} has run ${run} under way since ${at}. ${advice}`;
  return Object.assign(new EkkoError('run-under-way', message), { run: request ?? run });
}

/** Throws `no-escrow` for a vault whose key exists only once. */
export function checkEscrow({ escrow }: VaultState): void {
  if (escrow !== 'missing') return;
  throw new EkkoError(
    'no-escrow',
    'The key of this vault exists only once. Make the vault with a second recipient, or with "escrow": "waived".',
  );
}

function recordOf(
  run: string,
  { policy, id, reason }: RunWish,
  { vault, quiesce, bandwidth, sourceDedupe }: PolicyDefinition,
  members: readonly MemberServer[],
  adopted: OpenRun | undefined,
): RunRecord {
  const numbers = new Map(
    (adopted?.disks ?? members.flatMap(({ disks }) => disks.map(({ name }) => name))).map((name, index) => [
      name,
      index,
    ]),
  );
  return {
    ...{ run, policy, vault, quiesce, startedAt: adopted?.at ?? startOf(run) },
    ...(id === undefined ? {} : { request: id }),
    ...(reason === undefined ? {} : { reason }),
    ...(bandwidth === undefined ? {} : { bandwidth }),
    ...(sourceDedupe ? { sourceDedupe } : {}),
    members: members.map((member) => runMember(member, numbers)),
  };
}

/** When a run began, as ISO time: its id begins with it, `20261120-191503-…`. */
export function startOf(run: string): string {
  const [, day = '', time = ''] = /^(\d{8})-(\d{6})/.exec(run) ?? [];
  const date = day.replace(/(....)(..)(..)/, '$1-$2-$3');
  return `${date}T${time.replace(/(..)(..)(..)/, '$1:$2:$3')}.000Z`;
}

function runMember(
  { server, name, host, exporter, problem, disks }: MemberServer,
  numbers: ReadonlyMap<string, number>,
): RunMember {
  const numbered = disks.flatMap(({ name: disk, source, size, image }) => {
    const index = numbers.get(disk);
    return index === undefined ? [] : [{ index, name: disk, source, size, ...(image === undefined ? {} : { image }) }];
  });
  return {
    ...{ server, name, disks: numbered },
    ...(host === undefined ? {} : { host }),
    ...(exporter === undefined ? {} : { exporter }),
    ...(problem === undefined ? {} : { problem }),
  };
}

async function writeDown({ registry }: Catalog, { project }: Caller, record: RunRecord): Promise<void> {
  await registry.write(['runs', project, record.run], record, 0);
  if (record.request !== undefined) await registry.write(['requests', project, record.request], { run: record.run }, 0);
}
