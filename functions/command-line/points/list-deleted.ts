import type { VaultState } from '#vault/journal/state.ts';
import { endOfGrace } from '../deletion/grace.ts';
import { holdsOn } from '../holds/standing-holds.ts';
import { formatCount } from '../text/sizes.ts';
import { formatTable } from '../text/table.ts';
import { formatTime } from '../text/times.ts';

/** A deleted restore point that can still be brought back. */
export interface DeletedPoint {
  readonly id: string;
  readonly group: string;
  readonly takenAt: string;
  readonly deletedAt: string;
  readonly reason: string;
  /** From then on the next sweep takes it, in the usual time of grace; undefined: while it is being read it is not taken. */
  readonly goesAt: string | undefined;
}

/** In the order of deletion. */
export function listDeleted(state: VaultState): DeletedPoint[] {
  return [...state.expired.values()].map(({ run, group, takenAt, expiredAt, expiredBecause }) => ({
    ...{ id: run, group, takenAt, deletedAt: expiredAt, reason: expiredBecause },
    goesAt: holdsOn(state, run).length > 0 ? undefined : goesAt(expiredAt),
  }));
}

function goesAt(expiredAt: string): string | undefined {
  const time = endOfGrace(new Date(expiredAt));
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString();
}

export function describeDeleted(points: readonly DeletedPoint[], now: Date): string[] {
  if (points.length === 0) return ['There is no deleted restore point that could be brought back.'];
  const rows = points.map(({ id, group, takenAt, deletedAt, reason, goesAt: end }) => [
    ...[id, short(takenAt), group, short(deletedAt), reason],
    end === undefined ? 'held' : Date.parse(end) <= now.getTime() ? 'next sweep' : short(end),
  ]);
  const count = `${formatCount(points.length, 'deleted restore point')}: \`ekko undelete\` brings back.`;
  return [...formatTable(COLUMNS, rows), '', count];
}

const COLUMNS = [
  { title: 'POINT' },
  { title: 'TAKEN' },
  { title: 'GROUP' },
  { title: 'DELETED' },
  { title: 'BECAUSE', widest: 60 },
  { title: 'GONE FROM' },
] as const;

function short(time: string): string {
  return formatTime(new Date(time)).slice(0, 16);
}
