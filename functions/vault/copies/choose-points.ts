import type { CommittedPoint, VaultState } from '../journal/state.ts';

/** Which restore points are to be copied. */
export interface CopySelection {
  /** Undefined: of all groups. */
  readonly group: string | undefined;
  /** The newest so many of each group; undefined: all. */
  readonly last: number | undefined;
  /** Only these, by run; undefined: all. */
  readonly only?: ReadonlySet<string> | undefined;
  /** Also points older than the newest one that was copied: the other vault may have let them go on purpose. */
  readonly again: boolean;
}

/**
 * Points of `source` (id `vault`) that are to be copied to `target`, in commit order: those that it does not have, neither live nor deleted.
 */
export function choosePoints(
  vault: string,
  source: Pick<VaultState, 'points'>,
  target: Pick<VaultState, 'points' | 'expired'>,
  { group, last, only, again }: CopySelection,
): CommittedPoint[] {
  const copied = copiesOf(vault, target);
  const wanted = [...source.points.values()].filter((point) => group === undefined || point.group === group);
  const newest = Math.max(0, ...wanted.filter(({ run }) => copied.has(run)).map(({ position }) => position));
  const later = wanted.filter(({ run, position }) => !copied.has(run) && (again || position > newest));
  const chosen = only === undefined ? later : later.filter(({ run }) => only.has(run));
  return last === undefined ? chosen : lastOfEach(wanted, last).filter((point) => chosen.includes(point));
}

/** Runs of the other vault whose copies are there, or were deleted. */
export function copiesOf(
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
