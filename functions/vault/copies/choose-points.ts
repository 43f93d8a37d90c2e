import type { CommittedPoint, VaultState } from '../journal/state.ts';

/** Which restore points are to be copied. */
export interface CopySelection {
  /** Undefined: of all groups. */
  readonly group: string | undefined;
  /** The newest so many of each group; undefined: all. */
  readonly last: number | undefined;
  /** Only these, by run; undefined: all. */
  readonly only?: ReadonlySet<string> | undefined;
  /** Also points older than the newest one of their group that was copied: the other vault may have let them go on purpose. */
  readonly again: boolean;
  /** Those older ones, by run, that earlier copies could not make: the other vault has never had them. */
  readonly missed?: ReadonlySet<string>;
}

/**
 * Points of `source` (id `vault`) that are to be copied to `target`, in commit order: those that it does not have, neither live nor deleted.
 */
export function choosePoints(
  vault: string,
  source: Pick<VaultState, 'points'>,
  target: Pick<VaultState, 'points' | 'expired'>,
  { group, last, only, again, missed }: CopySelection,
): CommittedPoint[] {
  const copied = copiesOf(vault, target);
  const wanted = [...source.points.values()].filter((point) => group === undefined || point.group === group);
  // In commit order: the last one of each group stays.
  const newest = new Map(wanted.filter(({ run }) => copied.has(run)).map((point) => [point.group, point.position]));
  const isDue = ({ run, group: own, position }: CommittedPoint) =>
    again || missed?.has(run) === true || position > (newest.get(own) ?? 0);
  const later = wanted.filter((point) => !copied.has(point.run) && isDue(point));
  const chosen = only === undefined ? later : later.filter(({ run }) => only.has(run));
  return last === undefined ? chosen : lastOfEach(wanted, last).filter((point) => chosen.includes(point));
}

/** Runs of the other vault whose copies are there, or were deleted. */
function copiesOf(
  vault: string,
  { points, expired }: Pick<VaultState, 'points' | 'expired'>,
): ReadonlyMap<string, CommittedPoint> {
  const copies = [...expired.values(), ...points.values()].filter(({ copyOf }) => copyOf?.vault === vault);
  return new Map(copies.map((point) => [point.copyOf?.run ?? '', point]));
}

function lastOfEach(points: readonly CommittedPoint[], count: number): CommittedPoint[] {
  const groups = Map.groupBy(points, ({ group }) => group);
  const kept = [...groups.values()].flatMap((each) => each.slice(-count));
  return kept.sort((a, b) => a.position - b.position);
}
