import type { Hold, VaultState } from '#vault/journal/state.ts';
import { isGone } from '../this-process.ts';

/** A hold that stands, as lists show it. */
export interface StandingHold {
  readonly name: string;
  readonly kind: Hold['kind'];
  /** By id. */
  readonly points: readonly string[];
  readonly reason: string;
  readonly host: string;
  readonly at: string;
  /** Nothing needs it any more: it was for reading, and its process is gone. */
  readonly stale: boolean;
}

export function standingHolds({ holds }: Pick<VaultState, 'holds'>): StandingHold[] {
  return [...holds.values()].map(({ hold, kind, points, reason, host, at, ...rest }) => ({
    ...{ name: hold, kind, points, reason, host, at },
    stale: isStale({ kind, host, ...rest }),
  }));
}

/** Of a process on another host nothing is known. */
export function isStale({ kind, ...signature }: Pick<Hold, 'kind' | 'host' | 'process'>): boolean {
  return kind === 'read' && isGone(signature);
}

/** Names of the holds on a point. */
export function holdsOn({ holds }: Pick<VaultState, 'holds'>, run: string, kind?: Hold['kind']): string[] {
  return [...holds.values()]
    .filter((hold) => (kind === undefined || hold.kind === kind) && hold.points.includes(run))
    .map(({ hold }) => hold);
}
