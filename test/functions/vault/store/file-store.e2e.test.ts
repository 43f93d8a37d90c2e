import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openFileStore } from '#vault/store/file-store.ts';
import { listAll } from '../../../conformance/object-store.ts';

const WRITER = join(import.meta.dirname, 'file-writer.ts');
const MIB = 1024 * 1024;
const run = promisify(execFile);
let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'ekko-store-'));
});
afterEach(() => rm(root, { recursive: true }));

const writerArguments = (writer: number, count: number, size: number) =>
  [WRITER, root, writer, count, size].map(String);

/** What became of a create, and from when to when it took, in milliseconds. */
interface Attempt {
  readonly outcome: string;
  readonly from: number;
  readonly to: number;
}

/** Each create of each writer, by number; all writers begin each key at one moment. */
async function race(writers: readonly number[], count: number, size: number): Promise<Attempt[][]> {
  const children = writers.map((writer) => spawn(process.execPath, writerArguments(writer, count, size)));
  await Promise.all(children.map(firstOutput));
  const outputs = children.map((child) => text(child.stdout));
  const begin = String(Date.now() + 50);
  for (const child of children) child.stdin.end(begin);
  return (await Promise.all(outputs)).map((lines) => lines.trimEnd().split('\n').map(attemptOf));
}

function attemptOf(line: string): Attempt {
  const { outcome, failure, from, to } = JSON.parse(line);
  return { outcome: outcome ?? failure, from, to };
}

/** True when two of the attempts went on at the same time. */
function overlap(attempts: readonly Attempt[]): boolean {
  const sorted = attempts.toSorted((a, b) => a.from - b.from);
  return sorted.some(({ from }, at) => at > 0 && from < (sorted[at - 1]?.to ?? 0));
}

test('of several processes that race for a key exactly one creates, and its bytes are there whole', async () => {
  const [writers, keys, size] = [[1, 2, 3, 4], 150, 10_000];
  const attempts = await race(writers, keys, size);
  const store = openFileStore(root);
  let races = 0;
  for (let n = 0; n < keys; n++) {
    const here = attempts.flatMap((each) => each[n] ?? []);
    const created = writers.filter((_, at) => here[at]?.outcome === 'created');
    expect(created).toHaveLength(1);
    expect(here.filter(({ outcome }) => outcome === 'exists')).toHaveLength(writers.length - 1);
    expect((await store.get(`race/${n}`)).equals(Buffer.alloc(size, created[0]))).toBe(true);
    if (overlap(here)) races += 1;
  }
  expect(races, 'the writers never raced').toBeGreaterThan(0);
});

test('a writer that is killed at any moment leaves whole objects only, and the next one cleans up', async () => {
  const size = 3 * MIB;
  const store = openFileStore(root);
  let leftovers = 0;
  for (let round = 0; round < 12; round++) {
    const child = spawn(process.execPath, writerArguments(round + 1, 1000, size), {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await firstOutput(child);
    await once(child.stdout, 'data');
    await setTimeout(round * 3);
    await killed(child);
    leftovers += (await readdir(join(root, '.incoming'))).length;
    const found = await listAll(store, 'race/');
    expect(found.length).toBeGreaterThan(0);
    for (const { key } of found) await expectWhole(await store.get(key), size);
    await store.remove(found.slice(-100).map(({ key }) => key));
  }
  expect(leftovers, 'no writer was ever hit while it wrote').toBeGreaterThan(0);
  await openFileStore(root).create('next', [Buffer.from('x')]);
  expect(await readdir(join(root, '.incoming'))).toEqual([]);
});

async function expectWhole(bytes: Buffer, size: number): Promise<void> {
  expect(bytes.length).toBe(size);
  expect(bytes.equals(Buffer.alloc(size, bytes[0] ?? 0))).toBe(true);
}

async function firstOutput(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error('the writer ended by itself')));
    child.stdout?.once('readable', () => {
      if (String(child.stdout?.read()) === 'ready\n') resolve();
      else reject(new Error('the writer is not ready'));
    });
  });
}

async function killed(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

test('a process that may open no more files says so, and goes on when it can', async () => {
  const store = openFileStore(root);
  await store.create('a', [Buffer.from('one')]);
  const script = `
    import { openFileStore } from '#vault/store/file-store.ts';
    import { closeSync, openSync } from 'node:fs';
    const store = openFileStore(process.argv[1]);
    await store.create('warm', []);
    const held = [];
    try { for (;;) held.push(openSync('/dev/null')); } catch {}
    const failures = await Promise.allSettled([store.create('b', []), store.get('a'), Promise.resolve()]);
    for (const file of held) closeSync(file);
    const outcome = await store.create('b', []);
    process.stdout.write(JSON.stringify([...failures.map((each) => each.reason?.message), outcome]));
  `;
  // bash raises nothing: it sets the limit for what it becomes.
  const limited = 'ulimit -n 64; exec "$0" --input-type=module-typescript -e "$1" "$2"';
  const { stdout } = await run('bash', ['-c', limited, process.execPath, script, root], { cwd: import.meta.dirname });
  const [create, get, , outcome] = JSON.parse(stdout);
  expect(create).toMatch(/^Cannot write .*\(EMFILE\).*ulimit -n/);
  expect(get).toMatch(/^Cannot read .*\(EMFILE\).*ulimit -n/);
  expect(outcome).toBe('created');
});

const mountable = canMount();
describe.skipIf(!mountable)(
  `on a file system of its own${mountable ? '' : ' (left out: this user cannot mount one)'}`,
  () => {
    let disk = '';
    beforeAll(async () => {
      disk = await mkdtemp(join(tmpdir(), 'ekko-disk-'));
      await run('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk]);
    });
    afterAll(async () => {
      await run('umount', [disk]);
      await rm(disk, { recursive: true });
    });

    test('a full disk in the middle of a write is reported, leaves nothing, and what was there stays', async () => {
      const vault = join(disk, 'full');
      const store = openFileStore(vault);
      const body = Array.from({ length: 3 }, () => Buffer.alloc(MIB, 7));
      await store.create('packs/1', body);
      await store.create('packs/2', body);
      for (let attempt = 0; attempt < 3; attempt++) {
        const failure = store.create('packs/3', body);
        await expect(failure).rejects.toMatchObject({
          code: 'store-failed',
          message: expect.stringContaining('ENOSPC'),
        });
        await expect(failure).rejects.toThrow(`${vault}/packs/3`);
      }
      expect(await readdir(join(vault, '.incoming'))).toEqual([]);
      expect((await listAll(store, '')).map(({ key }) => key)).toEqual(['packs/1', 'packs/2']);
      expect((await store.get('packs/2')).equals(Buffer.concat(body))).toBe(true);
      await store.remove(['packs/1']);
      expect(await store.create('packs/3', body)).toBe('created');
      await store.remove(['packs/2', 'packs/3']);
      expect((await statfs(disk)).bfree).toBeGreaterThan((7 * MIB) / 4096);
    });

    test('a file system that is mounted read-only is read, and refuses writes with advice', async () => {
      const vault = join(disk, 'read-only');
      await mkdir(vault);
      await openFileStore(vault).create('a', [Buffer.from('one')]);
      await run('mount', ['-o', 'remount,ro', disk]);
      try {
        const store = openFileStore(vault);
        expect(await store.get('a')).toEqual(Buffer.from('one'));
        await expect(store.create('b', [])).rejects.toMatchObject({
          code: 'store-failed',
          message: expect.stringContaining('read-only'),
        });
        await expect(store.remove(['a'])).rejects.toMatchObject({
          code: 'store-failed',
          message: expect.stringContaining('EROFS'),
        });
      } finally {
        await run('mount', ['-o', 'remount,rw', disk]);
      }
    });

    test('a directory below which something else is mounted is refused, for an atomic create cannot cross it', async () => {
      await mkdir(join(root, 'packs'));
      await run('mount', ['--bind', disk, join(root, 'packs')]);
      try {
        await expect(openFileStore(root).create('packs/a', [])).rejects.toMatchObject({
          code: 'store-failed',
          message: expect.stringContaining('EXDEV'),
        });
      } finally {
        await run('umount', [join(root, 'packs')]);
      }
    });
  },
);

function canMount(): boolean {
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
