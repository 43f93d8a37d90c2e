import { randomUUID } from 'node:crypto';
import { EkkoError } from '#vault/errors.ts';
import type { RestorePoint } from '#vault/format/point.ts';
import type { Caller } from '../caller.ts';
import type { Catalog } from '../catalog.ts';
import { imagesAt } from '../cloud/images.ts';
import { readRecord, requireRecord } from '../registry/records.ts';
import type { TenantVault } from '../vaults/tenant-vaults.ts';
import { inDeviceOrder } from './boot-disk.ts';
import { chooseDisks, choosePoint, type DisksWish, type PointWish } from './choose-disks.ts';
import { planDisk } from './plan-disk.ts';
import { holdPoint, releasePoint } from './read-hold.ts';
import type { RestoreRecord } from './restore-record.ts';
import { type BuildWish, checkBuild, planBuild, type ServerBuild } from './server-build.ts';

export interface RestoreWish extends PointWish, DisksWish {
  /** The caller's own id: the same one again is the same restore. */
  readonly id?: string;
  readonly vault: string;
  readonly target: 'image';
  /** Properties that the images get beside those that the point tells. */
  readonly properties: Readonly<Record<string, string>>;
  /** The disks are to become a server. */
  readonly build?: BuildWish;
}

/** Restores of one project that one process works on. */
const MOST_UNDER_WAY = 16;

/**
 * Starts a restore: holds the point, writes down what is to be made, and begins. Answers at once. Throws `not-found`, `point-unknown`,
 * `bad-input` (also for what a server needs and the point does not tell), `too-many-requests`, and what opening the vault throws.
 */
export async function startRestore(catalog: Catalog, caller: Caller, wish: RestoreWish): Promise<RestoreRecord> {
  const { registry, restores } = catalog;
  const restore = wish.id ?? randomUUID();
  if ((await readRecord(registry, 'restores', caller.project, restore)) !== undefined)
    return restores.carryOn(caller, restore);
  imagesAt(catalog.endpoints.glance);
  checkRoom(restores.countOf(caller));
  const { value: vault } = await requireRecord(registry, 'vaults', caller.project, wish.vault);
  const tenant = await catalog.tenants.open(caller, vault);
  try {
    const record = recordOf(restore, wish, await choosePoint(tenant.vault, wish), catalog.now());
    await holdPoint(tenant.vault, restore, record.point, catalog.now());
    await writeDown(catalog, caller, tenant, record);
  } catch (error) {
    await tenant.close();
    throw error;
  }
  return restores.carryOn(caller, restore, tenant);
}

/** Of two processes that are asked for the same restore one is first: what that one has written is held. */
async function writeDown(
  { registry, now }: Catalog,
  { project }: Caller,
  { vault }: TenantVault,
  record: RestoreRecord,
) {
  const { restore } = record;
  const written = await registry.write(['restores', project, restore], record, 0).catch(async (error: unknown) => {
    await releasePoint(vault, restore, now());
    throw error;
  });
  if (written === 'written') return;
  const { value } = await requireRecord(registry, 'restores', project, restore);
  if (value.ended === undefined) await holdPoint(vault, restore, value.point, now());
  else await releasePoint(vault, restore, now());
}

function checkRoom(underWay: number): void {
  if (underWay < MOST_UNDER_WAY) return;
  throw new EkkoError(
    'too-many-requests',
    `The project has ${underWay} restores under way. Wait for one, or cancel one: DELETE /v1/restores/{restore}.`,
  );
}

function recordOf(restore: string, wish: RestoreWish, point: RestorePoint, now: Date): RestoreRecord {
  const { server, properties } = wish;
  const disks = chooseDisks(point, wish);
  const names = disks.map(({ name }) => name);
  const build = buildOf(wish, point, names);
  const order = inDeviceOrder(
    names,
    point.topology?.servers.find(({ id }) => id === server),
    build?.boot ?? '',
  );
  const planned = disks.map((disk) => {
    const becomes =
      build !== undefined && (disk.name !== build.boot || wish.build?.root !== 'image') ? 'volume' : 'image';
    return planDisk(point, disk, becomes, disk.name === (build?.boot ?? disk.name) ? properties : {});
  });
  return {
    ...{ restore, vault: wish.vault, point: point.id, takenAt: point.takenAt, startedAt: now.toISOString() },
    ...(server === undefined ? {} : { server }),
    disks: planned.toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name)),
    ...(build === undefined ? {} : { build }),
  };
}

function buildOf({ build, server }: RestoreWish, point: RestorePoint, names: string[]): ServerBuild | undefined {
  if (build === undefined) return undefined;
  if (server === undefined) throw new EkkoError('bad-input', 'Which server is to be built? Name it as server.');
  return checkBuild(planBuild(point, server, names, build), point.id);
}
