import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkout } from './cache.ts';

// By a variable: the preparation is plain JavaScript without types.
const file = join(checkout, '.setup', 'npm-packages.mjs');
const { lockIsInstalled }: { lockIsInstalled(folder: string): boolean } = await import(file);

const lock = { '': { version: '1.0.0' }, a: { version: '1.0.0' }, other: { version: '2.0.0', optional: true } };
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-setup-'));
  await mkdir(join(folder, 'node_modules'));
  await writeFile(join(folder, 'package-lock.json'), JSON.stringify({ packages: lock }));
});

afterEach(() => rm(folder, { recursive: true }));

async function install(packages: object): Promise<void> {
  await writeFile(join(folder, 'node_modules', '.package-lock.json'), JSON.stringify({ packages }));
}

test('without node_modules the lock is not installed', () => {
  expect(lockIsInstalled(folder)).toBe(false);
});

test('an optional package of another machine may be missing', async () => {
  await install({ a: { version: '1.0.0' } });
  expect(lockIsInstalled(folder)).toBe(true);
});

test('another version is not the one of the lock, be it optional or not', async () => {
  await install({ a: { version: '1.0.1' } });
  expect(lockIsInstalled(folder)).toBe(false);
  await install({ a: { version: '1.0.0' }, other: { version: '1.9.0' } });
  expect(lockIsInstalled(folder)).toBe(false);
});
