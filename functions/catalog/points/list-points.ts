import pLimit from 'p-limit';
import { changesBetween } from '#vault/changes/changes.ts';
import { pointBefore } from '#vault/changes/point-before.ts';
import { codeOf, EkkoError } from '#vault/errors.ts';
import type { PointDisk, RestorePoint } from '#vault/format/point.ts';
import type { Topology } from '#vault/format/topology.ts';
import { digestInName } from '#vault/images.ts';
import type { CommittedPoint } from '#vault/journal/state.ts';
import { readListedPoint, readPoint } from '#vault/records.ts';
import type { Vault } from '#vault/vault.ts';
import { type PointSummary, summaryOf } from './point-summary.ts';

export interface PointsWish {
  readonly limit: number;
  readonly marker?: string;
  /** Undefined: those of all groups but images. */
  readonly group: string | undefined;
}

export type ListedPoint = PointSummary & { readonly problem?: string };

const READ_AT_ONCE = 16;

/** Restore points, newest first, a page of them. A damaged one is listed with its problem: the others must still be found. */
export async function listPoints(vault: Vault, { limit, marker, group }: PointsWish) {
  const all = [...vault.journal.state().points.values()].reverse();
  const begin = marker === undefined ? 0 : all.findIndex(({ run }) => run === marker) + 1;
  if (marker !== undefined && begin === 0) {
    throw new EkkoError('bad-input', 'marker is no restore point (any more). Begin again without it.');
  }
  const isAsked = (point: CommittedPoint) =>
    group === undefined ? digestInName(point.group) === undefined : point.group === group;
  const rest = all.slice(begin).filter(isAsked);
  const page = rest.slice(0, limit);
  const points = await pLimit(READ_AT_ONCE).map(page, (point) => listOne(vault, point));
  const last = page.at(-1);
  return { points, ...(rest.length > limit && last !== undefined ? { next: last.run } : {}) };
}

async function listOne(vault: Vault, committed: CommittedPoint): Promise<ListedPoint> {
  const { run, group, takenAt, disks } = committed;
  try {
    return summaryOf(await readListedPoint(vault, committed));
  } catch (error) {
    if (codeOf(error) === undefined || !(error instanceof Error)) throw error;
    const bare: RestorePoint = { id: run, group, takenAt, disks: [] };
    const size = disks.reduce((sum, disk) => sum + disk.size, 0);
    return { ...summaryOf(bare), disks: disks.length, size, problem: error.message };
  }
}

/** One restore point with its disks. Throws `point-unknown`, and what reading records throws. */
export async function showPoint(vault: Vault, run: string) {
  const committed = pointNamed(vault, run);
  const before = pointBefore(vault.journal.state(), committed);
  const point = await readPoint(vault, committed.point);
  return {
    ...summaryOf(point),
    members: point.disks.map(shownDisk),
    ...(before === undefined ? {} : { before: before.run, ...(await changesSince(vault, before, point)) }),
    ...(point.topology === undefined ? {} : { unprotected: point.topology.unprotected.slice(0, MOST_CHANGES) }),
  };
}

const MOST_CHANGES = 500;

/** A point before that is damaged does not keep the point itself from being shown. */
async function changesSince(vault: Vault, before: CommittedPoint, point: RestorePoint) {
  try {
    return { changes: changesBetween(await readPoint(vault, before.point), point).slice(0, MOST_CHANGES) };
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return {};
  }
}

/** What a restore point's group was built of. Throws as `showPoint`, and `not-found` where the point does not tell. */
export async function showTopology(vault: Vault, run: string): Promise<Topology> {
  const { topology } = await readPoint(vault, pointNamed(vault, run).point);
  if (topology !== undefined) return topology;
  throw new EkkoError('not-found', `Restore point ${run} does not tell what its group was built of.`);
}

function pointNamed({ journal }: Vault, run: string): CommittedPoint {
  const found = journal.state().points.get(run);
  if (found !== undefined) return found;
  throw new EkkoError('point-unknown', `There is no restore point ${JSON.stringify(run.slice(0, 80))} in this vault.`);
}

function shownDisk({ name, diskSize, base, baseDisk, fullReason, ...rest }: PointDisk) {
  const { changedBytes, storedBytes, consistency, consistencyNote, takenAt, frozenMs } = rest;
  return {
    ...{ name, size: diskSize, changedBytes, storedBytes, consistency, consistencyNote, takenAt, frozenMs },
    ...(base === undefined ? {} : { base }),
    ...(baseDisk === undefined ? {} : { image: baseDisk }),
    ...(fullReason === undefined ? {} : { fullReason }),
  };
}
