/** A small process of its own that thaws a guest when the exporter dies, or hangs, between freeze and thaw. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { EkkoError } from '#vault/errors.ts';
import { thawUntilThawed } from './must-thaw.ts';

/** What the exporter writes when the guest is thawed; a pipe that closes without it means that the exporter died. */
const THAWED = 'thawed\n';
/** The watchdog outlives every hung agent that comes back within a day. */
const WATCHDOG_LIMITS = { answerMs: 5_000, pauseMs: 1_000, patienceMs: 24 * 3_600_000 };

export interface Watchdog {
  /** The guest is thawed: nothing is left to do. */
  dismiss(): void;
  /** The exporter could not thaw the guest: the watchdog tries on without it. */
  handOver(): void;
}

export interface WatchdogOptions {
  readonly agentSocket: string;
  readonly record: string;
  /** Milliseconds from now after which the guest is thawed even if the exporter lives. */
  readonly deadlineMs: number;
  /** Program and first arguments of the watchdog; by default this Node with `thaw-watchdog-main.ts`. A bundle names its own entry. */
  readonly command?: readonly string[];
}

/** Starts the watchdog, detached from the exporter's process group. Throws `qemu-failed` when it cannot be started. */
export async function startWatchdog(options: WatchdogOptions): Promise<Watchdog> {
  const [program = process.execPath, ...first] = options.command ?? [process.execPath, defaultEntry()];
  const args = [...first, options.agentSocket, options.record, String(options.deadlineMs)];
  const child = spawn(program, args, { detached: true, stdio: ['pipe', 'ignore', 'ignore'], cwd: '/' });
  try {
    await once(child, 'spawn');
  } catch (cause) {
    throw new EkkoError('qemu-failed', `The thaw watchdog (${program}) does not start: ${String(cause)}`, { cause });
  }
  // A watchdog that died has nobody to tell; the record on disk remains.
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  child.unref();
  return { dismiss: () => child.stdin.end(THAWED), handOver: () => child.stdin.end() };
}

function defaultEntry(): string {
  return fileURLToPath(new URL('./thaw-watchdog-main.ts', import.meta.url));
}

/** The watchdog's own life: waits for word from `input`, its end, or the deadline; thaws unless told that it is done. */
export async function runWatchdog(args: readonly string[], input: Readable): Promise<void> {
  const [agentSocket, record, deadline] = args;
  const deadlineMs = Number(deadline);
  if (!agentSocket || !record || !Number.isFinite(deadlineMs)) {
    throw new EkkoError('bad-input', 'The thaw watchdog wants: agent socket, record, deadline in milliseconds');
  }
  if (await saysThawed(input, deadlineMs)) return;
  await thawUntilThawed(agentSocket, record, WATCHDOG_LIMITS);
}

async function saysThawed(input: Readable, deadlineMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), deadlineMs);
  let said = '';
  input.on('data', (bytes) => {
    said = (said + String(bytes)).slice(0, THAWED.length);
    if (said === THAWED) resolve(true);
  });
  input.on('close', () => resolve(false));
  input.on('error', () => resolve(false));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    input.destroy();
  }
}
