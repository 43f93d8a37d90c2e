import { EkkoError } from '#vault/errors.ts';
import type { Caller } from '../caller.ts';
import type { ApiRequest, CallerRoute, Catalog } from '../catalog.ts';
import { volumesOf } from '../cloud/volumes.ts';
import { findDisks, type MemberServer } from '../group/find-disks.ts';
import { resolveGroup } from '../group/resolve-group.ts';
import { expireGroup } from '../points/expire-group.ts';
import { checkPolicy } from '../policies/check-policy.ts';
import { overdueSince } from '../policies/overdue.ts';
import { policiesOf } from '../policies/policies-of.ts';
import { nextRun } from '../policies/schedule.ts';
import { triggerOf } from '../policies/trigger.ts';
import { type PolicyRecord, readRecord, requireRecord, type VaultRecord } from '../registry/records.ts';
import { withVault } from '../vaults/with-vault.ts';
import { nameIn } from './names.ts';
import { pageOf } from './page.ts';

/** Policies of a project, and whom they protect. */
export const POLICY_ROUTES: readonly CallerRoute[] = [
  { method: 'PUT', path: '/v1/policies/{policy}', right: 'write', serve: putPolicy },
  {
    ...{ method: 'GET', path: '/v1/policies/{policy}', right: 'read' },
    serve: async (catalog, { params }, { project }) => {
      const { value } = await requireRecord(catalog.registry, 'policies', project, nameIn(params, 'policy'));
      const open = await openRun(catalog, project, value.policy);
      return { status: 200, body: { ...(await shownWithLast(catalog, project, value)), ...open } };
    },
  },
  { method: 'GET', path: '/v1/policies', right: 'read', serve: listPolicies },
  { method: 'DELETE', path: '/v1/policies/{policy}', right: 'write', serve: forgetPolicy },
  { method: 'GET', path: '/v1/policies/{policy}/members', right: 'read', serve: showMembers },
];

const TRIES = 5;

async function putPolicy({ registry, now }: Catalog, { params, body }: ApiRequest, { project }: Caller) {
  const policy = nameIn(params, 'policy');
  const definition = checkPolicy(body, now());
  const own = await vaultOf(registry, project, definition.vault);
  const copies = definition.copyTo && (await vaultOf(registry, project, definition.copyTo.vault));
  if (copies?.id === own.id) {
    const found = `${copies.vault} is another name of the vault ${own.vault}`;
    throw new EkkoError('bad-input', `The policy copies to the vault that it backs up to: ${found}. Name another one.`);
  }
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    const record: PolicyRecord = { policy, definition, updatedAt: now().toISOString() };
    const found = await readRecord(registry, 'policies', project, policy);
    const last = found?.version ?? (await registry.lastVersion(['policies', project, policy]));
    if ((await registry.write(['policies', project, policy], record, last)) === 'overtaken') continue;
    return { status: found === undefined ? 201 : 200, body: shown(record, now()) };
  }
  throw new EkkoError('busy', `Policy ${policy} is being changed by others. Try again.`);
}

async function vaultOf(registry: Catalog['registry'], project: string, vault: string): Promise<VaultRecord> {
  const found = await readRecord(registry, 'vaults', project, vault);
  if (found !== undefined) return found.value;
  throw new EkkoError('bad-input', `There is no vault ${vault} in this project. Make it by PUT /v1/vaults/${vault}.`);
}

/** `?vault=`: of that vault only; `?overdue=true`: only those of which a run should have begun. */
async function listPolicies(catalog: Catalog, { query }: ApiRequest, { project }: Caller) {
  const { limit, marker = '' } = pageOf(query);
  const [vault, overdue] = [query.get('vault'), query.get('overdue') === 'true'];
  const policies: Awaited<ReturnType<typeof shownWithLast>>[] = [];
  for await (const record of policiesOf(catalog.registry, project, marker)) {
    if (vault !== null && record.definition.vault !== vault) continue;
    const policy = await shownWithLast(catalog, project, record);
    if (overdue && policy.overdue === undefined) continue;
    if (policies.length === limit) return { status: 200, body: { policies, next: policies.at(-1)?.policy } };
    policies.push(policy);
  }
  return { status: 200, body: { policies } };
}

/** The policy's run that has not ended, as its caller calls it. */
async function openRun({ registry }: Catalog, project: string, policy: string) {
  const run = (await readRecord(registry, 'lasts', project, policy))?.value.run;
  const record = run === undefined ? undefined : (await readRecord(registry, 'runs', project, run))?.value;
  return record === undefined || record.ended !== undefined ? {} : { openRun: record.request ?? record.run };
}

async function shownWithLast({ registry, now }: Catalog, project: string, record: PolicyRecord) {
  const last = (await readRecord(registry, 'lasts', project, record.policy))?.value;
  const overdue = overdueSince(record, last, now());
  return {
    ...shown(record, now()),
    ...(last?.point === undefined ? {} : { lastPoint: last.point }),
    ...(overdue === undefined ? {} : { overdue: overdue.toISOString() }),
  };
}

async function forgetPolicy(catalog: Catalog, { params, query }: ApiRequest, caller: Caller) {
  const { registry } = catalog;
  const policy = nameIn(params, 'policy');
  const { version, value } = await requireRecord(registry, 'policies', caller.project, policy);
  const { vault } = value.definition;
  const points =
    query.get('points') === 'expire'
      ? await expirePoints(catalog, caller, vault, policy)
      : `They stay in vault ${vault}.`;
  if ((await registry.forget(['policies', caller.project, policy], version)) === 'overtaken') {
    throw new EkkoError('busy', `Policy ${policy} was changed meanwhile. Look at it, and try again.`);
  }
  return {
    status: 200,
    body: { policy, vault, points, message: `Policy ${policy} is deleted. Of its restore points: ${points}` },
  };
}

/** As `ekko delete` does: until a sweep condemns them they can be brought back, and what a hold keeps stays. */
async function expirePoints(catalog: Catalog, caller: Caller, vault: string, group: string): Promise<string> {
  const { expired, held } = await withVault(catalog, caller, vault, (tenant) =>
    expireGroup(tenant.vault, group, catalog.now()),
  );
  return `${expired} expired, and can be brought back until a sweep after their grace; ${held} stay, for a hold keeps them.`;
}

function shown({ policy, definition, updatedAt }: PolicyRecord, now: Date) {
  const { schedule } = definition;
  const next = schedule === undefined ? undefined : nextRun(schedule, now);
  return {
    ...definition,
    ...{ policy, updatedAt },
    ...(schedule === undefined ? {} : { trigger: triggerOf(schedule, now) }),
    ...(next === undefined ? {} : { nextRun: next.toISOString() }),
  };
}

async function showMembers(catalog: Catalog, { params }: ApiRequest, caller: Caller) {
  const { value } = await requireRecord(catalog.registry, 'policies', caller.project, nameIn(params, 'policy'));
  const [group, volumes] = await Promise.all([
    resolveGroup(catalog, caller, value.definition),
    volumeNames(catalog, caller),
  ]);
  const { members, warnings } = await findDisks(group, { caller, policy: value.definition, digests: 'no' });
  return {
    status: 200,
    body: { policy: value.policy, members: members.map((member) => shownMember(member, volumes)), warnings },
  };
}

/** Names are for people: without Cinder there are none. */
async function volumeNames({ endpoints: { cinder } }: Catalog, caller: Caller): Promise<ReadonlyMap<string, string>> {
  if (cinder === undefined) return new Map();
  const volumes = await volumesOf(cinder, caller).catch(() => new Map<string, never>());
  return new Map([...volumes].map(([id, { name }]) => [id, name]));
}

function shownMember(
  { server, name, status, host, problem, disks }: MemberServer,
  volumes: ReadonlyMap<string, string>,
) {
  return {
    ...{ server, name, status },
    ...(host === undefined ? {} : { host }),
    disks: disks.map(({ name: disk, size, volume }) => {
      const called = volume === undefined ? undefined : volumes.get(volume);
      return { name: disk, size, ...(volume && { volume }), ...(called && { volumeName: called }) };
    }),
    ...(problem === undefined ? {} : { problem }),
  };
}
