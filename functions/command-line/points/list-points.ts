import pLimit from 'p-limit';
import { codeOf } from '#vault/errors.ts';
import type { RestorePoint } from '#vault/format/point.ts';
import type { CommittedPoint } from '#vault/journal/state.ts';
import { readListedPoint } from '#vault/records.ts';
import type { Vault } from '#vault/vault.ts';
import { holdsOn } from '../holds/standing-holds.ts';
import { formatCount, formatSize } from '../text/sizes.ts';
import { formatTable } from '../text/table.ts';
import { formatAge, formatTime } from '../text/times.ts';

/** A restore point in the list. Bytes. */
export interface ListedPoint {
  readonly id: string;
  readonly group: string;
  readonly takenAt: string;
  readonly disks: readonly { readonly name: string; readonly size: number }[];
  readonly size: number;
  /** Read as changed; undefined where the point's record cannot be read. */
  readonly changedBytes: number | undefined;
  readonly storedBytes: number | undefined;
  /** Why its record cannot be read. */
  readonly problem: string | undefined;
  /** Names of the holds on it. */
  readonly holds: readonly string[];
}

const READ_AT_ONCE = 16;

/** All restore points in the order of their commits. A damaged one is listed with its problem: the others must still be found. */
export function listPoints(vault: Vault): Promise<ListedPoint[]> {
  const limit = pLimit(READ_AT_ONCE);
  return limit.map([...vault.journal.state().points.values()], (point) => listOne(vault, point));
}

async function listOne(vault: Vault, committed: CommittedPoint): Promise<ListedPoint> {
  const { run, group, takenAt, disks } = committed;
  const listed = {
    holds: holdsOn(vault.journal.state(), run),
    id: run,
    group,
    takenAt,
    disks: disks.map(({ name, size }) => ({ name, size })),
    size: disks.reduce((sum, disk) => sum + disk.size, 0),
  };
  try {
    return { ...listed, ...totalsOf(await readListedPoint(vault, committed)), problem: undefined };
  } catch (error) {
    if (codeOf(error) === undefined || !(error instanceof Error)) throw error;
    return { ...listed, changedBytes: undefined, storedBytes: undefined, problem: error.message };
  }
}

/** Sums over the disks of a point. */
export function totalsOf({ disks }: Pick<RestorePoint, 'disks'>): {
  changedBytes: number;
  newBytes: number;
  storedBytes: number;
} {
  return {
    changedBytes: disks.reduce((sum, disk) => sum + disk.changedBytes, 0),
    newBytes: disks.reduce((sum, disk) => sum + disk.newBytes, 0),
    storedBytes: disks.reduce((sum, disk) => sum + disk.storedBytes, 0),
  };
}

/** The list as a table, then what is wrong with which point. */
export function describePoints(points: readonly ListedPoint[], now: Date): string[] {
  if (points.length === 0) return ['There is no restore point yet. Make one with `ekko backup`.'];
  const rows = points.map((point) => rowOf(point, now));
  const stored = points.reduce((sum, { storedBytes }) => sum + (storedBytes ?? 0), 0);
  const problems = points.flatMap(({ id, problem }) => (problem === undefined ? [] : [`${id} is damaged: ${problem}`]));
  const total = `${formatCount(points.length, 'restore point')}, ${formatSize(stored)} stored`;
  const held = points.some(({ holds }) => holds.length > 0);
  return [...formatTable(held ? [...COLUMNS, HOLDS] : COLUMNS, rows), '', total, ...problems];
}

const COLUMNS = [
  { title: 'POINT' },
  { title: 'TAKEN' },
  { title: 'AGE', align: 'right' },
  { title: 'GROUP' },
  { title: 'DISKS' },
  { title: 'SIZE', align: 'right' },
  { title: 'CHANGED', align: 'right' },
  { title: 'STORED', align: 'right' },
] as const;
const HOLDS = { title: 'HELD BY' } as const;

function rowOf(point: ListedPoint, now: Date): string[] {
  const taken = new Date(point.takenAt);
  const sizeOf = (bytes: number | undefined) => (bytes === undefined ? '?' : formatSize(bytes));
  return [
    point.id,
    formatTime(taken).slice(0, 16),
    formatAge(taken, now).replace(/ ago$/, ''),
    point.group,
    disksOf(point),
    formatSize(point.size),
    sizeOf(point.changedBytes),
    sizeOf(point.storedBytes),
    point.holds.join(', '),
  ];
}

const MOST_NAMES = 3;

function disksOf({ disks }: ListedPoint): string {
  const names = disks.slice(0, MOST_NAMES).map(({ name }) => name);
  const more = disks.length - names.length;
  return names.join(', ') + (more > 0 ? ` +${more}` : '');
}
