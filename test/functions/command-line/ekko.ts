import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { checkout } from '../../setup/cache.ts';

const LAUNCHER = join(checkout, 'functions', 'command-line', 'bin', 'ekko');

export interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** A folder, and `ekko` run in it as a person would: the launcher, the built bundles, a process of its own. */
export interface Desk {
  readonly folder: string;
  path(name: string): string;
  start(args: readonly string[], options?: RunOptions): Started;
  run(args: readonly string[], options?: RunOptions): Promise<Ended>;
  remove(): Promise<void>;
}

export interface RunOptions {
  readonly input?: string;
  readonly keyFile?: string | undefined;
  /** Added to that of the desk. */
  readonly environment?: NodeJS.ProcessEnv;
}

/**
 * The key file of every command is `key` in the folder, unless another one is named, or none by `undefined`. `environment` is added
 * to this process's.
 */
export async function openDesk(environment: NodeJS.ProcessEnv = {}): Promise<Desk> {
  const folder = await mkdtemp(join(tmpdir(), 'ekko-desk-'));
  const start: Desk['start'] = (args, options = {}) => {
    const keyFile = 'keyFile' in options ? options.keyFile : 'key';
    const { EKKO_KEY_FILE: _, ...inherited } = { ...process.env, ...environment, ...options.environment };
    const env = keyFile === undefined ? inherited : { ...inherited, EKKO_KEY_FILE: keyFile };
    const child = spawn(LAUNCHER, args, { cwd: folder, env });
    child.stdin.end(options.input ?? '');
    return { child, ended: endOf(child) };
  };
  return {
    folder,
    path: (name) => join(folder, name),
    start,
    run: (args, options) => start(args, options).ended,
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

async function endOf(child: ReturnType<typeof spawn>): Promise<Ended> {
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('The child has no streams.');
  const [output, errors, [code]] = await Promise.all([text(stdout), text(stderr), once(child, 'exit')]);
  return { code, output, errors };
}
