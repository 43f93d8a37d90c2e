import { EkkoError } from '#vault/errors.ts';
import { checker } from '../../rim/strict-ajv.ts';
import { type Caller, hasRight } from '../caller.ts';
import type { ApiRequest, CallerRoute, Catalog } from '../catalog.ts';
import { checkRecord, requireRecord } from '../registry/records.ts';
import { chooseDisks, choosePoint } from '../restores/choose-disks.ts';
import { endRestore, type RemovedImages } from '../restores/end-restore.ts';
import { gibOf, type RestoreRecord } from '../restores/restore-record.ts';
import { planBuild } from '../restores/server-build.ts';
import { type RestoreWish, startRestore } from '../restores/start-restore.ts';
import { endpointsOf, viewRestore } from '../restores/view-restore.ts';
import { RESTORE_WISH } from '../schemas.ts';
import { withVault } from '../vaults/with-vault.ts';
import { isUuid, nameIn } from './names.ts';
import { pageOf } from './page.ts';

const checkWish = checker<RestoreWish>(RESTORE_WISH, 'The restore');

/** Disks of a point that become images again, and what else a server of a point takes. */
export const RESTORE_ROUTES: readonly CallerRoute[] = [
  { method: 'GET', path: '/v1/vaults/{vault}/points/{point}/servers/{server}', right: 'read', serve: showServer },
  { method: 'POST', path: '/v1/restores', right: 'write', serve: postRestore },
  { method: 'GET', path: '/v1/restores/{restore}', right: 'read', serve: showRestore },
  { method: 'GET', path: '/v1/restores', right: 'read', serve: listRestores },
  { method: 'DELETE', path: '/v1/restores/{restore}', right: 'write', serve: deleteRestore },
];

/** The server as it would be built where nothing else is wished. */
async function showServer(catalog: Catalog, { params, query }: ApiRequest, caller: Caller) {
  const { point: named = '', server = '' } = params;
  const [vault, group] = [nameIn(params, 'vault'), query.get('group') ?? undefined];
  const wish = { point: named, ...(group === undefined ? {} : { group }) };
  const point = await withVault(catalog, caller, vault, (tenant) => choosePoint(tenant.vault, wish));
  const disks = chooseDisks(point, { server });
  const names = disks.map(({ name }) => name);
  const { server: build, ...rest } = planBuild(point, server, names, { root: 'volume', addresses: 'new' });
  const shown = disks.map(({ name, diskSize }) => ({ name, size: diskSize, gib: gibOf(diskSize) }));
  return { status: 200, body: { vault, point: point.id, server, ...rest, build, disks: shown } };
}

async function postRestore(catalog: Catalog, { body }: ApiRequest, caller: Caller) {
  const wish = checkWish(structuredClone(body));
  const start = () => startRestore(catalog, caller, wish);
  const name = `restore ${caller.project} ${wish.id ?? ''}`;
  const record = await (wish.id === undefined ? start() : catalog.runs.once(name, start));
  return { status: 202, body: shown(catalog, caller, record) };
}

async function recordIn({ registry }: Catalog, { params }: ApiRequest, { project }: Caller): Promise<RestoreRecord> {
  const named = params['restore'] ?? '';
  if (isUuid(named)) return (await requireRecord(registry, 'restores', project, named)).value;
  throw new EkkoError('not-found', 'There is no such restore in this project.');
}

/** Who may write goes on with a restore whose process has died. */
async function showRestore(catalog: Catalog, request: ApiRequest, caller: Caller) {
  const record = await recordIn(catalog, request, caller);
  if (record.ended !== undefined || !hasRight(caller, 'write'))
    return { status: 200, body: shown(catalog, caller, record) };
  const name = `carry on ${caller.project} ${record.restore}`;
  const carried = await catalog.runs.once(name, () => catalog.restores.carryOn(caller, record.restore));
  return { status: 200, body: shown(catalog, caller, carried) };
}

async function listRestores(catalog: Catalog, { query }: ApiRequest, caller: Caller) {
  const { records, next } = await catalog.registry.list(['restores', caller.project], pageOf(query));
  const restores = records.map(({ record }) => {
    const { disks, build: _, endpoints: __, ...rest } = shown(catalog, caller, checkRecord('restores', record));
    return { ...rest, disks: disks.length };
  });
  return { status: 200, body: { restores, ...(next && { next }) } };
}

const REMOVED: readonly RemovedImages[] = ['unfinished', 'volumes', 'all'];

async function deleteRestore(catalog: Catalog, request: ApiRequest, caller: Caller) {
  const named = request.query.get('images') ?? 'unfinished';
  const images = REMOVED.find((each) => each === named);
  if (images === undefined) throw new EkkoError('bad-input', `images is one of ${REMOVED.join(', ')}.`);
  const record = await recordIn(catalog, request, caller);
  return { status: 200, body: shown(catalog, caller, await endRestore(catalog, caller, record, images)) };
}

function shown(catalog: Catalog, caller: Caller, record: RestoreRecord) {
  const progress = catalog.restores.progressOf(caller, record.restore);
  return viewRestore(record, progress, endpointsOf(catalog, caller));
}
