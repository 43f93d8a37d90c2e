import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

// Without the checkout's own programs: `npm ci` removes the very Node that would run it.
const path = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  .filter((folder) => !folder.endsWith(join('node_modules', '.bin')))
  .join(delimiter);

export const environment = { ...process.env, PATH: path, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };

/** A failure that needs no stack: its message says all. */
export class PlainError extends Error {}

/** Does `work` under one line of progress: its name, then how long it took. */
export async function step(name, work) {
  const start = Date.now();
  process.stdout.write(`${name} ... `);
  try {
    const result = await work();
    console.log(`${((Date.now() - start) / 1000).toFixed(1)} s`);
    return result;
  } catch (cause) {
    console.log('failed');
    throw cause;
  }
}

/** Runs a program silently; when it fails, its log becomes the error's message. */
export async function run(program, args, options = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'ekko-setup-'));
  const file = join(folder, 'log');
  const log = openSync(file, 'w');
  try {
    const code = await exitCode(spawn(program, args, { env: environment, stdio: ['ignore', log, log], ...options }));
    const said = readFileSync(file, 'utf8').trim();
    if (code !== 0) throw new PlainError(`${[program, ...args].join(' ')} ended with ${code}:\n${said.slice(-6000)}`);
    return said;
  } finally {
    closeSync(log);
    rmSync(folder, { recursive: true, force: true });
  }
}

function exitCode(child) {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => reject(new PlainError(`${child.spawnfile} cannot be started: ${cause.message}`)));
    child.once('exit', (code, signal) => resolve(code ?? signal));
  });
}
