import { randomBytes } from 'node:crypto';
import { reasonFrom } from './journal/entries.ts';
import type { CommittedPoint, VaultState } from './journal/state.ts';
import { newRunId } from './store/object-names.ts';
import type { Vault } from './vault.ts';

/** All that an exporter is given for one disk of one run: it can seal parts for that place, and read nothing. */
export interface ExportTicket {
  readonly vault: string;
  readonly run: string;
  /** The disk's number in the run. */
  readonly disk: number;
  readonly epoch: number;
  readonly stagingPublicKey: Buffer;
  /** The HPKE pre-shared key: secret. */
  readonly token: Buffer;
}

export interface RunRequest {
  readonly group: string;
  /** Names of the disks, by their number in the run. */
  readonly disks: readonly string[];
  /** Where it runs and in which process, for people and for clean-up. */
  readonly host: string;
  readonly process: string;
}

/** Starts a run in the journal; returns its id. */
export async function startRun(vault: Vault, request: RunRequest, now: Date): Promise<string> {
  const run = newRunId(now, randomBytes(3));
  await vault.journal.append(() => ({ type: 'run-started', run, ...request, at: now.toISOString() }));
  return run;
}

/** The ticket of one disk of a run. */
export function ticketFor(vault: Vault, run: string, disk: number): ExportTicket {
  const keys = vault.keyring.newest;
  return {
    vault: vault.id,
    run,
    disk,
    epoch: keys.epoch,
    stagingPublicKey: keys.staging.publicKey,
    token: keys.runToken(run, disk),
  };
}

/** Ends a run for good: it can never commit. A run that has ended already is left as it is. */
export async function abandonRun(vault: Vault, run: string, reason: string, now: Date): Promise<void> {
  const state = await vault.journal.refresh();
  if (!state.openRuns.has(run)) return;
  await vault.journal
    .append((head) => {
      if (!head.openRuns.has(run)) throw new RunEnded();
      return { type: 'run-abandoned', run, reason: reasonFrom(reason), at: now.toISOString() };
    })
    .catch((error: unknown) => {
      if (!(error instanceof RunEnded)) throw error;
    });
}

/** Leaves the append loop when somebody else ended the run first. */
class RunEnded extends Error {}

/** The newest restore point that holds a disk, by the disk's name. */
export function newestPoint(state: VaultState, disk: string): CommittedPoint | undefined {
  return [...state.points.values()].findLast((point) => point.disks.some(({ name }) => name === disk));
}

/** Size of a disk at a restore point, or undefined where the vault has no such point or disk. */
export function sizeAt(state: VaultState, point: string, disk: string): number | undefined {
  return state.points.get(point)?.disks.find(({ name }) => name === disk)?.size;
}
