import { EkkoError } from '#vault/errors.ts';
import type { CommittedPoint, VaultState } from '#vault/journal/state.ts';
import type { Vault } from '#vault/vault.ts';
import { selectPoints } from '../arguments/select-points.ts';
import { checkReason } from '../holds/place-hold.ts';
import { holdsOn } from '../holds/standing-holds.ts';
import { plainText } from '../text/plain-text.ts';
import { type Freed, freedBy } from './freed-by.ts';
import { endOfGrace } from './grace.ts';

export interface DeletionRequest {
  /** As people name points. */
  readonly points: readonly string[];
  readonly reason: string;
  readonly dryRun: boolean;
  /** Also the last point of a group may go. */
  readonly lastOneToo: boolean;
  readonly now: Date;
}

/** As much of a vault as deleting needs. */
export type DeletingVault = Pick<Vault, 'journal' | 'store' | 'keyring'>;

export interface DeletionReport {
  readonly dryRun: boolean;
  readonly points: readonly { readonly id: string; readonly group: string; readonly takenAt: string }[];
  /** Undefined: not looked up, for it would take too long. */
  readonly freed: Freed | undefined;
  /** Until when the points can surely be brought back. */
  readonly recoverableUntil: string;
}

/**
 * Deletes restore points, all or none: they expire, and can be brought back until a sweep takes them. Throws `point-unknown`, `held`
 * naming the hold, `bad-input` when a group would lose its last point, and what the journal and the store throw.
 */
export async function deletePoints(vault: DeletingVault, request: DeletionRequest): Promise<DeletionReport> {
  const { dryRun, now } = request;
  const reason = checkReason(request.reason);
  const state = await vault.journal.refresh();
  const seen = choose(state, request);
  const freed = await freedBy(vault, state, runsOf(seen));
  if (!dryRun) {
    await vault.journal.append((head) => {
      const points = runsOf(choose(head, { ...request, points: runsOf(seen) }));
      return { type: 'points-expired', points, reason, at: now.toISOString() };
    });
  }
  return {
    dryRun,
    points: seen.map(({ run, group, takenAt }) => ({ id: run, group, takenAt })),
    freed,
    recoverableUntil: endOfGrace(now).toISOString(),
  };
}

function choose(state: VaultState, { points: texts, lastOneToo }: DeletionRequest): CommittedPoint[] {
  const points = selectPoints(state, texts);
  for (const { run } of points) checkHolds(state, run);
  if (!lastOneToo) for (const group of new Set(points.map(({ group }) => group))) checkLast(state, points, group);
  return points;
}

function checkHolds(state: VaultState, run: string): void {
  const [hold] = holdsOn(state, run, 'legal');
  if (hold === undefined) return;
  const name = plainText(hold, 60);
  throw new EkkoError(
    'held',
    `Restore point ${run} is kept by hold "${name}": ${plainText(state.holds.get(hold)?.reason ?? '', 200)}. Nothing was deleted. Release it first, by \`ekko release\`.`,
  );
}

function checkLast(state: VaultState, points: readonly CommittedPoint[], group: string): void {
  const goes = new Set(runsOf(points));
  if ([...state.points.values()].some((point) => point.group === group && !goes.has(point.run))) return;
  throw new EkkoError(
    'bad-input',
    `Group "${plainText(group, 60)}" would be left without a restore point. Nothing was deleted. Say --last-one-too if that is meant.`,
  );
}

function runsOf(points: readonly CommittedPoint[]): string[] {
  return points.map(({ run }) => run);
}
