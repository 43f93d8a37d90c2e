import { readFileSync } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { SegmentRun } from '#vault/words.ts';
import { refuseTarget, targetFailure } from '../restore-targets/target-failure.ts';
import type { UnreadableBytes } from './restore-span.ts';

/** What is being restored, and how far it is: a small file beside the target, so that a restore that was cut off can go on. */
export interface RestoreState {
  readonly format: 1;
  readonly point: string;
  readonly disk: string;
  /** Name of the manifest. */
  readonly manifest: string;
  readonly diskSize: number;
  readonly kind: string;
  /** Linux' id of the boot in which it was written: after another one, what was not flushed may be gone. */
  readonly boot: string;
  readonly durable: boolean;
  /** Runs of segments that lie on the target; ascending, not touching. */
  readonly done: readonly SegmentRun[];
  /** What could not be read of them. */
  readonly unreadable: readonly UnreadableBytes[];
}

/** What must be the same for a restore to go on. */
export type RestoreSubject = Pick<RestoreState, 'point' | 'disk' | 'manifest' | 'diskSize' | 'kind'>;

export function statePathOf(target: string): string {
  return `${target}.ekko-restore`;
}

/** The state beside a target, or undefined where there is none. Throws `target-failed` when it is not one. */
export async function readState(target: string): Promise<RestoreState | undefined> {
  const path = statePathOf(target);
  try {
    const state = JSON.parse(await readFile(path, 'utf8')) as Partial<RestoreState> | null;
    if (state?.format === 1 && Array.isArray(state.done) && Array.isArray(state.unreadable))
      return state as RestoreState;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    if (!(cause instanceof SyntaxError)) throw targetFailure(path, 'read', cause);
  }
  throw refuseTarget(path, 'is not the state of a restore', 'Remove it, and overwrite the target.');
}

/** Where a restore begins. */
export interface Beginning extends Pick<RestoreState, 'done' | 'unreadable'> {
  /** Whether the target holds something to go on from. */
  readonly resumed: boolean;
  /** Whether the target, if there is one, is the work of an earlier restore of the same. */
  readonly ours: boolean;
}

export const ANEW: Beginning = { resumed: false, ours: false, done: [], unreadable: [] };

/**
 * How far a restore got that goes on now. What was not flushed before the machine went down is not there: it begins again.
 * Throws `target-failed` when the state is of something else.
 */
export function goingOn(target: string, state: RestoreState, subject: RestoreSubject): Beginning {
  checkSubject(target, state, subject);
  const whole = state.durable || state.boot === bootId();
  return whole
    ? { resumed: true, ours: true, done: state.done, unreadable: state.unreadable }
    : { ...ANEW, ours: true };
}

function checkSubject(target: string, state: RestoreState, subject: RestoreSubject): void {
  const fields = ['point', 'disk', 'manifest', 'diskSize', 'kind'] as const;
  if (fields.every((field) => state[field] === subject[field])) return;
  throw refuseTarget(
    target,
    `holds part of a restore of ${state.point}/${state.disk} (${state.kind}), not of ${subject.point}/${subject.disk} (${subject.kind})`,
    'Resume that one, choose another target, or say that this one may be overwritten.',
  );
}

/** Replaces the state in one step; after a crash it is the old one or the new one. Throws `target-failed`. */
export async function writeState(target: string, state: Omit<RestoreState, 'format' | 'boot'>): Promise<void> {
  const path = statePathOf(target);
  const temporary = `${path}.new`;
  try {
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(JSON.stringify({ format: 1, boot: bootId(), ...state } satisfies RestoreState));
      if (state.durable) await file.datasync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    throw targetFailure(path, 'write', cause);
  }
}

/** The restore is complete. */
export async function removeState(target: string): Promise<void> {
  await rm(statePathOf(target), { force: true });
  await flushFolder(dirname(target));
}

async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } catch (error) {
    // Some file systems cannot, and do not need to.
    if (!['EINVAL', 'ENOTSUP'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    await folder.close();
  }
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
