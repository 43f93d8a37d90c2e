import { EkkoError } from '#vault/errors.ts';
import { checker } from '../../rim/strict-ajv.ts';
import type { Caller } from '../caller.ts';
import type { ApiRequest, CallerRoute, Catalog } from '../catalog.ts';
import { isDue, nextRun } from '../policies/schedule.ts';
import { type RunRecord, readRecord, requireRecord } from '../registry/records.ts';
import { commit } from '../runs/commit.ts';
import { isDistrusted } from '../runs/distrust.ts';
import { abandon } from '../runs/end-run.ts';
import { holdMoment } from '../runs/hold-moment.ts';
import { type KnownQuestion, knownSegments } from '../runs/known-segments.ts';
import { lookAt, membersOf } from '../runs/run-members.ts';
import { viewMember, viewRun } from '../runs/run-view.ts';
import { type RunWish, startRun } from '../runs/start-run.ts';
import { awaitsImages, storeImages } from '../runs/store-images.ts';
import { startExports } from '../runs/take-moment.ts';
import { ticketOf } from '../runs/tickets.ts';
import { COMMIT_WISH, KNOWN_QUESTION, NOTICES, RUN_WISH } from '../schemas.ts';
import { isUuid, runIn } from './names.ts';

const checkRunWish = checker<RunWish>(RUN_WISH, 'The run');
const checkCommit = checker<{ partial: boolean }>(COMMIT_WISH, 'The commit');
const checkQuestion = checker<KnownQuestion>(KNOWN_QUESTION, 'The question');
const checkNotices = checker<{ keys: string[] }>(NOTICES, 'The notice');

/** A run from its start to its end. Every call may reach another process. */
export const RUN_ROUTES: readonly CallerRoute[] = [
  { method: 'POST', path: '/v1/runs', right: 'write', serve: postRun },
  { method: 'GET', path: '/v1/runs/{run}', right: 'read', serve: showRun },
  { method: 'POST', path: '/v1/runs/{run}/images', right: 'write', serve: postImages },
  { method: 'POST', path: '/v1/runs/{run}/moment', right: 'write', serve: postMoment },
  { method: 'POST', path: '/v1/runs/{run}/retry', right: 'write', serve: postRetry },
  { method: 'POST', path: '/v1/runs/{run}/commit', right: 'write', serve: postCommit },
  { method: 'DELETE', path: '/v1/runs/{run}', right: 'write', serve: deleteRun },
  { method: 'GET', path: '/v1/runs/{run}/members/{server}/ticket', right: 'write', serve: showTicket },
  { method: 'POST', path: '/v1/runs/{run}/members/{server}/known', right: 'write', serve: postQuestion },
  { method: 'POST', path: '/v1/runs/{run}/notices', right: 'write', serve: postNotices },
];

/** The run in the path, by its own id or by the one that its caller gave it. */
async function recordIn({ registry }: Catalog, { params }: ApiRequest, { project }: Caller): Promise<RunRecord> {
  const named = params['run'] ?? '';
  const request = isUuid(named) ? (await requireRecord(registry, 'requests', project, named)).value.run : undefined;
  return (await requireRecord(registry, 'runs', project, request ?? runIn(params))).value;
}

async function postRun(catalog: Catalog, { body }: ApiRequest, caller: Caller) {
  const wish = checkRunWish(structuredClone(body));
  const notDue = await whyNotDue(catalog, caller, wish);
  if (notDue !== undefined) return { status: 200, body: notDue };
  const start = () => startRun(catalog, caller, wish);
  const name = `start ${caller.project} ${wish.id ?? ''}`;
  const { record, warnings, fresh } = await (wish.id === undefined ? start() : catalog.runs.once(name, start));
  const view = fresh ? viewRun(record, membersBefore(record)) : await lookAt(record, caller.token);
  const beside = { ...(await asideOf(catalog, caller, record)), ...(await imagesOf(catalog, caller, record)) };
  return { status: fresh ? 201 : 200, body: { ...view, ...beside, warnings: warnings.slice(0, MOST_WARNINGS) } };
}

/** What the policy wants of the workflow besides: at which times it has hooks, and where copies go. */
async function asideOf({ registry }: Catalog, { project }: Caller, { policy }: RunRecord) {
  const { hooks = [], copyTo } = (await readRecord(registry, 'policies', project, policy))?.value.definition ?? {};
  // Those of a run that fails are asked for by whoever knows that it has failed.
  const times = new Set(hooks.map(({ when }) => when).filter((when) => when !== 'failed'));
  return { hooks: [...times], ...(copyTo === undefined ? {} : { copyTo: copyTo.vault }) };
}

/** A workflow that a schedule fires is told here whether the schedule is due in its own time zone: whoever fires it knows UTC only. */
async function whyNotDue({ registry, now }: Catalog, { project }: Caller, { policy, id, reason }: RunWish) {
  if (reason !== 'schedule') return undefined;
  // It was due when this very request was answered before.
  if (id !== undefined && (await readRecord(registry, 'requests', project, id)) !== undefined) return undefined;
  const { schedule } = (await requireRecord(registry, 'policies', project, policy)).value.definition;
  if (schedule !== undefined && isDue(schedule, now())) return undefined;
  const next = schedule === undefined ? undefined : nextRun(schedule, now());
  return { state: 'not-due', policy, ...(next === undefined ? {} : { nextRun: next.toISOString() }) };
}

/** Whether it is worth waiting for images before the moment is taken. */
async function imagesOf(catalog: Catalog, caller: Caller, record: RunRecord) {
  if (record.moment !== undefined || record.ended !== undefined) return {};
  const { tenant } = await catalog.runs.open(caller, record);
  return { images: awaitsImages(record, tenant.vault.journal.state()) ? 'storing' : 'ready' };
}

const MOST_WARNINGS = 50;

/** Of a run that was just started no exporter knows anything yet. */
function membersBefore(record: RunRecord) {
  return record.members.map((member) => viewMember(record, member, undefined));
}

async function showRun(catalog: Catalog, request: ApiRequest, caller: Caller) {
  return { status: 200, body: await lookAt(await recordIn(catalog, request, caller), caller.token) };
}

async function postImages(catalog: Catalog, request: ApiRequest, caller: Caller) {
  const record = await recordIn(catalog, request, caller);
  refuseEnded(record);
  const work = () => storeImages(catalog, caller, record);
  return { status: 200, body: await catalog.runs.once(`images ${caller.project} ${record.run}`, work) };
}

async function postMoment(catalog: Catalog, request: ApiRequest, caller: Caller) {
  const record = await recordIn(catalog, request, caller);
  refuseEnded(record);
  const held = await catalog.runs.once(`moment ${caller.project} ${record.run}`, () =>
    holdMoment(catalog, caller, record.run),
  );
  return { status: 200, body: await lookAt(held, caller.token) };
}

async function postRetry(catalog: Catalog, request: ApiRequest, caller: Caller) {
  const record = await recordIn(catalog, request, caller);
  refuseEnded(record);
  if (record.moment === undefined)
    throw new EkkoError('run-incomplete', `Run ${record.run} holds no moment yet. POST /moment first.`);
  const { parts } = await catalog.runs.open(caller, record);
  const failed = new Set(
    (await membersOf(record, caller.token)).filter(({ state }) => state === 'failed').map(({ server }) => server),
  );
  parts.forgive(
    record.members.filter(({ server }) => failed.has(server)).flatMap(({ disks }) => disks.map(({ index }) => index)),
  );
  await startExports(record, caller.token, failed);
  return { status: 200, body: await lookAt(record, caller.token) };
}

async function postCommit(catalog: Catalog, request: ApiRequest, caller: Caller) {
  const { partial } = checkCommit(structuredClone(request.body ?? {}));
  const record = await recordIn(catalog, request, caller);
  const point = await catalog.runs.once(`commit ${caller.project} ${record.run}`, () =>
    commit(catalog, caller, record, partial),
  );
  return { status: 200, body: point };
}

async function deleteRun(catalog: Catalog, request: ApiRequest, caller: Caller) {
  const record = await recordIn(catalog, request, caller);
  const reason = (request.query.get('reason') ?? 'asked for').slice(0, 300);
  const ended = await catalog.runs.once(`abandon ${caller.project} ${record.run}`, () =>
    abandon(catalog, caller, record, reason),
  );
  return { status: 200, body: await lookAt(ended, caller.token) };
}

async function showTicket(catalog: Catalog, request: ApiRequest, caller: Caller) {
  const record = await recordIn(catalog, request, caller);
  refuseEnded(record);
  const { tenant } = await catalog.runs.open(caller, record);
  const distrusted = await isDistrusted(catalog.registry, caller, record);
  return { status: 200, body: await ticketOf(tenant, record, request.params['server'] ?? '', distrusted) };
}

async function postQuestion(catalog: Catalog, request: ApiRequest, caller: Caller) {
  const question = checkQuestion(structuredClone(request.body));
  const record = await recordIn(catalog, request, caller);
  refuseEnded(record);
  const active = await catalog.runs.open(caller, record);
  return { status: 200, body: await knownSegments(active, record, request.params['server'] ?? '', question) };
}

async function postNotices(catalog: Catalog, request: ApiRequest, caller: Caller) {
  const { keys } = checkNotices(structuredClone(request.body));
  const record = await recordIn(catalog, request, caller);
  refuseEnded(record);
  const { parts } = await catalog.runs.open(caller, record);
  await parts.notice(keys);
  return { status: 202, body: { accepted: keys.length, waiting: parts.waiting() } };
}

function refuseEnded({ run, ended }: RunRecord): void {
  if (ended === undefined) return;
  throw new EkkoError('run-ended', `Run ${run} was ${ended.outcome} at ${ended.at}. Start another one.`);
}
