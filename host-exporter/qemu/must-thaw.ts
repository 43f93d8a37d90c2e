/**
 * A guest that was, or may have been, frozen must be thawed whatever happens to the exporter: a record on disk says so from before the
 * freeze until the agent reports `thawed`.
 */
import { createHash } from 'node:crypto';
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EkkoError } from '#vault/errors.ts';
import { openAgent } from '../libvirt/open-agent.ts';
import { asObject, textOf } from './json-value.ts';
import { isQemuGone } from './qmp-client.ts';

export interface ThawLimits {
  /** Milliseconds for one question to the agent. */
  readonly answerMs: number;
  /** Milliseconds between tries. */
  readonly pauseMs: number;
  /** Milliseconds after which to give up (the record stays). */
  readonly patienceMs: number;
}

const PREFIX = 'must-thaw-';
const SUFFIX = '.json';

/** Path of the record that the guest behind `agentSocket` must be thawed. */
export function thawRecordPath(stateDirectory: string, agentSocket: string): string {
  const key = createHash('sha256').update(agentSocket).digest('hex').slice(0, 16);
  return join(stateDirectory, PREFIX + key + SUFFIX);
}

/** Writes the record so that it survives a power cut. To be done before the freeze is asked for. */
export async function recordMustThaw(stateDirectory: string, agentSocket: string): Promise<string> {
  const path = thawRecordPath(stateDirectory, agentSocket);
  const draft = `${path}.tmp`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.writeFile(`${JSON.stringify({ agentSocket, since: new Date().toISOString() })}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
  await syncDirectory(stateDirectory);
  return path;
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/**
 * Thaws until the agent says `thawed`, for a freeze that timed out still happens later; then removes the record. A guest whose QEMU is
 * gone has nothing left to thaw. Throws `qemu-failed` when patience ends; the record stays.
 */
export async function thawUntilThawed(agentSocket: string, record: string, limits: ThawLimits): Promise<void> {
  const end = performance.now() + limits.patienceMs;
  for (;;) {
    const failure = await thawOnce(agentSocket, limits.answerMs);
    if (failure === undefined) return rm(record, { force: true });
    if (performance.now() + limits.pauseMs > end) throw stillFrozen(agentSocket, record, failure);
    await sleep(limits.pauseMs);
  }
}

async function thawOnce(agentSocket: string, answerMs: number): Promise<unknown> {
  try {
    const agent = await openAgent(agentSocket, answerMs);
    try {
      // A refused thaw says nothing: only the status counts.
      await agent.thaw(answerMs).catch(() => undefined);
      if ((await agent.status(answerMs)) === 'thawed') return undefined;
      return new Error('it reports frozen after a thaw');
    } finally {
      await agent.close();
    }
  } catch (error) {
    return isQemuGone(error) ? undefined : error;
  }
}

function stillFrozen(agentSocket: string, record: string, cause: unknown): EkkoError {
  const found = cause instanceof Error ? cause.message : String(cause);
  return new EkkoError(
    'qemu-failed',
    `The guest behind agent socket ${agentSocket} may still be frozen: ${found}. ` +
      `The watchdog goes on trying; ${record} makes the next exporter thaw it too. By hand: guest-fsfreeze-thaw in the guest agent; remove the record if the guest is known to run.`,
    { cause },
  );
}

/** Thaws the guest behind `agentSocket` if a record of an exporter that died says so. */
export async function thawLeftBehind(
  stateDirectory: string,
  agentSocket: string,
  limits: ThawLimits,
): Promise<boolean> {
  const record = thawRecordPath(stateDirectory, agentSocket);
  if ((await readRecord(record)) === undefined) return false;
  await thawUntilThawed(agentSocket, record, limits);
  return true;
}

/**
 * Thaws every guest that an exporter which died has left a record of, and gives their agent sockets. For a service's start: nobody else
 * may be freezing by the same state directory. Guests that cannot be thawed yet keep their record and do not hold up the others.
 */
export async function thawAllLeftBehind(stateDirectory: string, limits: ThawLimits): Promise<readonly string[]> {
  const names = await readdir(stateDirectory);
  const records = names.filter((name) => name.startsWith(PREFIX) && name.endsWith(SUFFIX));
  const thawed = records.map(async (name) => {
    const record = join(stateDirectory, name);
    const agentSocket = await readRecord(record);
    if (agentSocket === undefined) return [];
    return thawUntilThawed(agentSocket, record, limits).then(
      () => [agentSocket],
      () => [],
    );
  });
  return (await Promise.all(thawed)).flat();
}

async function readRecord(path: string): Promise<string | undefined> {
  try {
    return textOf(asObject(JSON.parse(await readFile(path, 'utf8')), path), 'agentSocket');
  } catch (error) {
    if (typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
