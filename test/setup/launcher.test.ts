import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkout } from './cache.ts';

const launcher = join('functions', 'command-line', 'bin', 'ekko');
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko launcher-'));
  await mkdir(join(folder, 'functions', 'command-line', 'bin'), { recursive: true });
  await copyFile(join(checkout, launcher), join(folder, launcher));
});

afterEach(() => rm(folder, { recursive: true }));

async function setUp(program: string): Promise<void> {
  await mkdir(join(folder, 'node_modules', 'node', 'bin'), { recursive: true });
  await symlink(process.execPath, join(folder, 'node_modules', 'node', 'bin', 'node'));
  await mkdir(join(folder, 'dist'), { recursive: true });
  await writeFile(join(folder, 'dist', 'ekko.mjs'), program);
}

/** Through a link, as npm makes one in node_modules/.bin. */
async function start(...args: string[]) {
  await symlink(join(folder, launcher), join(folder, 'ekko'));
  return spawn(join(folder, 'ekko'), args);
}

test('says in one line what to do when nothing is set up', async () => {
  const child = await start();
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  expect(said).toMatch(/^ekko: Ekko is not set up here yet: run `npm start`.*\n$/);
  expect(code).toBe(1);
});

test('passes arguments and the exit code on', async () => {
  await setUp('console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 7;');
  const child = await start('backup', '--json', 'a b', '');
  const [said, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  expect(said).toBe('["backup","--json","a b",""]\n');
  expect(code).toBe(7);
});

test('lets the program answer a signal', async () => {
  await setUp("process.on('SIGTERM', () => process.exit(9)); setInterval(() => {}, 1000); console.log('ready');");
  const child = await start();
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([9, null]);
});

test('keeps large buffers in the process, and the settings that the caller has made', async () => {
  await setUp('console.log(process.env.GLIBC_TUNABLES);');
  const child = await start();
  expect(await text(child.stdout)).toContain('glibc.malloc.trim_threshold=');
});
