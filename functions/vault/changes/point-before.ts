import type { CommittedPoint, VaultState } from '../journal/state.ts';

/** The restore point that was committed before this one in the same group, and has not expired since; undefined for the first. */
export function pointBefore(
  { points }: Pick<VaultState, 'points'>,
  { run, group }: Pick<CommittedPoint, 'run' | 'group'>,
): CommittedPoint | undefined {
  const all = [...points.values()];
  const at = all.findIndex((point) => point.run === run);
  return all.slice(0, Math.max(at, 0)).findLast((point) => point.group === group);
}
