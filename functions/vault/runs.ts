import { randomBytes } from 'node:crypto';
import { reasonFrom } from './journal/entries.ts';
import type { CommittedPoint, OpenRun, VaultState } from './journal/state.ts';
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

/** Where a run runs and in which process, for people and for clean-up. */
export interface RunProcess {
  readonly host: string;
  readonly process: string;
}

export interface RunRequest extends RunProcess {
  readonly group: string;
  /** Names of the disks, by their number in the run. */
  readonly disks: readonly string[];
  /** See `RunStarted`. */
  readonly plan?: string;
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

/**
 * Goes on with a run whose process is gone; the caller runs it from now on. False where it has ended or somebody else was quicker: of
 * all who saw the same dead process one is told `true`.
 */
export async function takeOverRun(
  vault: Vault,
  { run, ...seen }: OpenRun,
  by: RunProcess,
  now: Date,
): Promise<boolean> {
  const isStill = (open: OpenRun | undefined) => open?.host === seen.host && open.process === seen.process;
  return unlessOvertaken(() =>
    vault.journal.append((head) => {
      if (!isStill(head.openRuns.get(run))) throw new Overtaken();
      return { type: 'run-taken-over', run, ...by, at: now.toISOString() };
    }),
  );
}

/** Ends a run for good: it can never commit. A run that has ended already is left as it is. */
export async function abandonRun(vault: Vault, run: string, reason: string, now: Date): Promise<void> {
  const state = await vault.journal.refresh();
  if (!state.openRuns.has(run)) return;
  await unlessOvertaken(() =>
    vault.journal.append((head) => {
      if (!head.openRuns.has(run)) throw new Overtaken();
      return { type: 'run-abandoned', run, reason: reasonFrom(reason), at: now.toISOString() };
    }),
  );
}

/** Leaves the append loop when somebody else was first. */
class Overtaken extends Error {}

async function unlessOvertaken(append: () => Promise<unknown>): Promise<boolean> {
  try {
    await append();
    return true;
  } catch (error) {
    if (error instanceof Overtaken) return false;
    throw error;
  }
}

/** The newest restore point that holds a disk, by the disk's name. */
export function newestPoint(state: VaultState, disk: string): CommittedPoint | undefined {
  return [...state.points.values()].findLast((point) => point.disks.some(({ name }) => name === disk));
}

/** Size of a disk at a restore point, or undefined where the vault has no such point or disk. */
export function sizeAt(state: VaultState, point: string, disk: string): number | undefined {
  return state.points.get(point)?.disks.find(({ name }) => name === disk)?.size;
}
