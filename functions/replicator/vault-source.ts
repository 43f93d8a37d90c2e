import type { EarlierCopy } from '#vault/copies/earlier-copies.ts';
import { EkkoError } from '#vault/errors.ts';
import type { PointDisk, RestorePoint } from '#vault/format/point.ts';
import type { CommittedPoint, VaultState } from '#vault/journal/state.ts';
import { readListedPoint } from '#vault/records.ts';
import type {
  ChangedBlockSource,
  DiskPlan,
  HeldMoment,
  MomentRequest,
  SourceDisk,
} from '#vault/staging/changed-block-source.ts';
import { bytesInside } from '#vault/staging/read-span.ts';
import type { Vault } from '#vault/vault.ts';
import { planCopy } from './vault-plan.ts';
import { openWindows, type Windows } from './vault-windows.ts';

export interface VaultSourceRequest {
  /** The vault that is copied from. */
  readonly vault: Vault;
  /** The restore point to copy, by run. */
  readonly point: string;
  /** Undefined: all of its disks. */
  readonly disk?: string;
  /** By the disk's name: what the copy of this disk can count from. */
  readonly earlier: ReadonlyMap<string, EarlierCopy>;
}

/**
 * A restore point of another vault as a source: a copy is a backup of what a vault holds. What changed since an earlier copy is told
 * by the two maps, without reading any data. Throws `point-unknown`, `disk-unknown`, and what reading the point throws.
 */
export async function openVaultSource(request: VaultSourceRequest): Promise<ChangedBlockSource> {
  const { vault, point: run, earlier } = request;
  const point = onlyDisk(
    await readListedPoint(vault, committed(vault.journal.state(), run, vault.store.url)),
    request.disk,
  );
  const origin = `${vault.store.url} ${run}`;

  async function planOne(from: PointDisk, { known, readAll }: MomentRequest): Promise<DiskPlan> {
    const disk = sourceDisk(from, origin);
    const { takenAt, consistency, consistencyNote, frozenMs } = from;
    const copied = { vault: vault.id, run, takenAt, consistency, consistencyNote, frozenMs };
    const before = earlier.get(disk.name);
    const usable = before !== undefined && readAll === undefined && known(before.point, disk.name) === disk.size;
    const runs = await planCopy(vault, from.manifest, usable ? before.manifest : undefined);
    return {
      ...{ disk, copied, audit: [], ...runs },
      base: usable ? before.point : undefined,
      fullReason: usable ? undefined : (readAll ?? 'no-common-point'),
    };
  }

  async function take(request: MomentRequest): Promise<HeldMoment> {
    const plans: DiskPlan[] = [];
    for (const disk of point.disks) plans.push(await planOne(disk, request));
    return createMoment(vault, point, plans);
  }

  const disks = point.disks.map((disk) => sourceDisk(disk, origin));
  return { disks: async () => disks, take, close: async () => undefined };
}

function onlyDisk(point: RestorePoint, name: string | undefined): RestorePoint {
  if (name === undefined) return point;
  const disks = point.disks.filter((disk) => disk.name === name);
  if (disks.length > 0) return { ...point, disks };
  throw new EkkoError('disk-unknown', `Restore point ${point.id} has no disk ${name}.`);
}

function sourceDisk({ name, diskSize, origin }: PointDisk, otherwise: string): SourceDisk {
  return { name, size: diskSize, origin: origin || otherwise };
}

function committed({ points, expired }: VaultState, run: string, url: string): CommittedPoint {
  const found = points.get(run) ?? expired.get(run);
  if (found !== undefined) return found;
  throw new EkkoError('point-unknown', `${url} has no restore point ${run}.`);
}

function createMoment(vault: Vault, point: RestorePoint, plans: readonly DiskPlan[]): HeldMoment {
  const windows = new Map<number, Windows>();

  async function read(index: number, offset: number, length: number, into: Uint8Array): Promise<void> {
    const plan = plans[index];
    const inside = bytesInside(plan, offset, length, into);
    const disk = windows.get(index) ?? openWindows(vault, point.disks[index]?.manifest ?? '', plan?.data ?? []);
    windows.set(index, disk);
    await disk.read(offset, into.subarray(0, length));
    into.fill(0, inside, length);
  }

  const [first] = point.disks;
  return {
    ...{ plans, read, end: async () => windows.clear() },
    takenAt: new Date(point.takenAt),
    consistency: first?.consistency ?? 'crash',
    consistencyNote: first?.consistencyNote ?? '',
    frozenMs: first?.frozenMs ?? 0,
  };
}
