import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync, openSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { tolerate } from '#vault/store/system-errors.ts';

/**
 * Real servers that tests share. Whoever needs one first starts it, all others of the same test run wait for it and use it, and
 * `stop-services.ts` ends it with the run. Each has a folder of its own for data, logs and pids.
 */
const SERVICES = 'EKKO_TEST_SERVICES';
const STARTED = 'settings.json';
const FAILED = 'failed.txt';
/** A whole cloud, beside other tests. */
const LONGEST_START_MS = 600_000;
const POLL_MS = 100;

/** Where the services of this test run live. */
export function servicesFolder(): string {
  const folder = process.env[SERVICES];
  if (folder === undefined) throw new Error(`${SERVICES} is not set: it names the folder of a test run's servers.`);
  return folder;
}

/**
 * What `start` said of the service (JSON: addresses, credentials), started now or earlier in this run. `start` gets a fresh folder
 * that is the service's own, starts every process by `startDaemon`, and resolves when the service answers.
 */
export async function useService<T>(name: string, start: (folder: string) => Promise<T>): Promise<T> {
  const folder = join(servicesFolder(), name);
  await mkdir(servicesFolder(), { recursive: true });
  const first = await tolerate(
    mkdir(folder).then(() => true),
    'EEXIST',
  );
  if (first === undefined) return waitForSettings<T>(folder, name);
  try {
    const settings = await start(folder);
    await writeFile(join(folder, `${STARTED}.part`), JSON.stringify(settings));
    await rename(join(folder, `${STARTED}.part`), join(folder, STARTED));
    return settings;
  } catch (error) {
    await writeFile(join(folder, FAILED), String(error));
    throw error;
  }
}

async function waitForSettings<T>(folder: string, name: string): Promise<T> {
  for (const end = Date.now() + LONGEST_START_MS; Date.now() < end; await pause(POLL_MS)) {
    if (existsSync(join(folder, STARTED))) return JSON.parse(await readFile(join(folder, STARTED), 'utf8')) as T;
    if (existsSync(join(folder, FAILED))) throw new Error(`${name}: ${await readFile(join(folder, FAILED), 'utf8')}`);
  }
  throw new Error(`${name} did not start within ${LONGEST_START_MS / 1000} s: see the logs in ${folder}.`);
}

export interface DaemonOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** Starts a server in the foreground of a process group of its own; its output goes to `<name>.log`, its pid to `<name>.pid`. */
export async function startDaemon(
  folder: string,
  name: string,
  [program, ...args]: readonly [string, ...string[]],
  options: DaemonOptions = {},
): Promise<number> {
  const log = openSync(join(folder, `${name}.log`), 'a');
  const child = spawn(program, args, { ...options, detached: true, stdio: ['ignore', log, log] });
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  await Promise.race([failed, new Promise((resolve) => child.once('spawn', resolve))]);
  child.unref();
  const { pid = 0 } = child;
  await writeFile(join(folder, `${name}.pid`), String(pid));
  return pid;
}

/** Ends one daemon of a service, by its pid; `SIGKILL` is how a test lets it crash, and what comes to one that takes longer than `patienceMs`. */
export async function stopDaemon(
  folder: string,
  name: string,
  signal: NodeJS.Signals = 'SIGTERM',
  patienceMs = 5000,
): Promise<void> {
  const pid = Number(await readFile(join(folder, `${name}.pid`), 'utf8'));
  signalGroup(pid, signal);
  for (let waited = 0; signalGroup(pid, 0); waited += POLL_MS) {
    if (waited >= patienceMs) signalGroup(pid, 'SIGKILL');
    await pause(POLL_MS);
  }
}

/** Ends all services of a run, and removes their folder. */
export async function stopServices(folder: string): Promise<void> {
  const files = await readdir(folder, { recursive: true });
  const daemons = files.filter((file) => file.endsWith('.pid'));
  await Promise.all(daemons.map((file) => stopDaemon(folder, file.slice(0, -'.pid'.length))));
  await rm(folder, { recursive: true, force: true });
}

function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** Resolves when `probe` does not throw any more; rejects with its last error after `seconds`. */
export async function untilItAnswers(probe: () => Promise<unknown>, seconds = 60): Promise<void> {
  for (const end = Date.now() + seconds * 1000; ; await pause(POLL_MS)) {
    try {
      await probe();
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}

/**
 * A port of the loopback that was free a moment ago, and none of those that the system gives to whoever connects: one of them might be
 * taken before its server listens, or while that is killed and started again.
 */
export async function freePort(): Promise<number> {
  const [first = 0] = (await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'latin1')).split(/\s+/).map(Number);
  for (let tries = 0; first > LOWEST_PORT && tries < MOST_TRIES; tries++) {
    const port = await listenOnce(randomInt(LOWEST_PORT, first)).catch(() => undefined);
    if (port !== undefined) return port;
  }
  return listenOnce(0);
}

/** The last of those that `fetch` refuses to speak to is 10080 (WHATWG fetch, "bad port"). */
const LOWEST_PORT = 10_081;
const MOST_TRIES = 100;

/** The port, free again; 0: any. */
function listenOnce(wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(wanted, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
