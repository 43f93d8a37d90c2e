/** A small process of its own that thaws a guest when the exporter dies, or hangs, between freeze and thaw. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { EkkoError } from '#vault/errors.ts';
import { thawUntilThawed } from './must-thaw.ts';

/** What the exporter writes before it asks for the freeze; a pipe that closes without it has nothing to thaw. */
const ARMED = 'armed\n';
/** What it writes when the guest is thawed; a pipe that closes without it means that the exporter died. */
const THAWED = 'thawed\n';
/** The watchdog outlives every hung agent that comes back within a day. */
const WATCHDOG_LIMITS = { answerMs: 5_000, pauseMs: 1_000, patienceMs: 24 * 3_600_000 };

/** It sleeps until it is armed: a process takes longer to start than a guest should stand still. */
export interface Watchdog {
  /** From here on the guest may be frozen. Throws `qemu-failed` when there is no watchdog any more. */
  arm(): void;
  /** The guest is thawed, or was never frozen: nothing is left to do. */
  dismiss(): void;
  /** The exporter could not thaw the guest: the watchdog tries on without it. */
  handOver(): void;
}

export interface WatchdogOptions {
  readonly agentSocket: string;
  readonly record: string;
  /** Milliseconds after it is armed, after which the guest is thawed even if the exporter lives. */
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
  return {
    arm() {
      const { exitCode, signalCode } = child;
      if (exitCode !== null || signalCode !== null)
        throw new EkkoError('qemu-failed', `The thaw watchdog (${program}) has ended: ${signalCode ?? exitCode}`);
      child.stdin.write(ARMED);
    },
    dismiss: () => child.stdin.end(THAWED),
    handOver: () => child.stdin.end(),
  };
}

function defaultEntry(): string {
  return fileURLToPath(new URL('./thaw-watchdog-main.ts', import.meta.url));
}

/** The watchdog's own life: waits for word from `input`, its end, or, once armed, the deadline; thaws unless that is done, or was never needed. */
export async function runWatchdog(args: readonly string[], input: Readable): Promise<void> {
  const [agentSocket, record, deadline] = args;
  const deadlineMs = Number(deadline);
  if (!agentSocket || !record || !Number.isFinite(deadlineMs)) {
    throw new EkkoError('bad-input', 'The thaw watchdog wants: agent socket, record, deadline in milliseconds');
  }
  if (!(await mustThaw(input, deadlineMs))) return;
  await thawUntilThawed(agentSocket, record, WATCHDOG_LIMITS);
}

async function mustThaw(input: Readable, deadlineMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  let timer: NodeJS.Timeout | undefined;
  let said = '';
  input.on('data', (bytes) => {
    said = (said + String(bytes)).slice(0, ARMED.length + THAWED.length);
    if (said.startsWith(ARMED)) timer ??= setTimeout(() => resolve(true), deadlineMs);
    if (said.endsWith(THAWED)) resolve(false);
  });
  const ended = () => resolve(timer !== undefined);
  input.on('close', ended);
  input.on('error', ended);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    input.destroy();
  }
}
