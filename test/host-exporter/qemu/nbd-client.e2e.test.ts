import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type NbdClient, openNbd, STATUS_DIRTY, STATUS_ZERO } from '../../../host-exporter/qemu/nbd-client.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;

let directory: string;
let socketPath: string;
let server: ChildProcess;
let client: NbdClient;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ekko-'));
  socketPath = join(directory, 's');
});

afterEach(async () => {
  await client.close();
  server.kill();
  if (server.exitCode === null) await once(server, 'exit');
  await rm(directory, { recursive: true, force: true });
});

async function serve(path: string, ...args: readonly string[]): Promise<void> {
  server = spawn('qemu-nbd', ['-k', socketPath, '-t', '-e', '0', ...args, path], { stdio: 'ignore' });
}

async function connectTo(...contexts: readonly string[]): Promise<NbdClient> {
  for (;;) {
    try {
      return await openNbd({ socketPath, exportName: '', contexts });
    } catch (error) {
      if (server.exitCode !== null || String(error).includes('refused')) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

test('reads come straight into their buffers, also many at once, of odd offsets and lengths', async () => {
  const content = randomBytes(8 * MIB + 512);
  await writeFile(join(directory, 'raw'), content);
  await serve(join(directory, 'raw'), '-r', '-f', 'raw');
  client = await connectTo();
  expect(client).toMatchObject({ size: content.length, readOnly: true });
  const spans = [
    [0, MIB * 2],
    [MIB * 6, MIB * 2 + 512],
    [1, 511],
    [content.length - 1, 1],
    [777_777, 65_536],
  ] as const;
  await Promise.all(
    spans.map(async ([offset, length]) => {
      const into = Buffer.alloc(length + 16, 0x77);
      await client.read(offset, length, into);
      expect(into.subarray(0, length).equals(content.subarray(offset, offset + length))).toBe(true);
      expect(into.subarray(length).equals(Buffer.alloc(16, 0x77))).toBe(true);
    }),
  );
});

test('writes, zeroes and flush reach the image; status shows them', async () => {
  const image = join(directory, 'qcow2');
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', image, '6G']);
  await serve(image, '-f', 'qcow2');
  client = await connectTo('base:allocation');
  const bytes = randomBytes(2 * MIB);
  await Promise.all([0, 1, 2, 3].map((part) => client.write(part * 2 * MIB, bytes)));
  // More than a request's 32 bits hold.
  await client.writeZeroes(MIB, client.size - MIB);
  await client.flush();
  const into = Buffer.alloc(2 * MIB, 1);
  await client.read(0, 2 * MIB, into);
  expect(into.equals(Buffer.concat([bytes.subarray(0, MIB), Buffer.alloc(MIB)]))).toBe(true);

  const extents = await client.blockStatus('base:allocation', 0, client.size);
  expect(extents.map(({ length, flags }) => [length, flags & STATUS_ZERO])).toEqual([
    [MIB, 0],
    [client.size - MIB, STATUS_ZERO],
  ]);
  await client.close();
  server.kill();
  const raw = join(directory, 'raw');
  await run('qemu-img', ['dd', '-O', 'raw', 'bs=1M', 'count=2', `if=${image}`, `of=${raw}`]);
  expect((await readFile(raw)).equals(into)).toBe(true);
});

test('a dirty bitmap is a context of its own; one that is not there is an error', async () => {
  const image = join(directory, 'qcow2');
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', image, '4M']);
  await run('qemu-img', ['bitmap', '--add', '-g', '65536', image, 'b']);
  await run('qemu-io', ['-f', 'qcow2', '-c', 'write 1M 64k', image]);
  await serve(image, '-r', '-f', 'qcow2', '-B', 'b');
  client = await connectTo('base:allocation', 'qemu:dirty-bitmap:b');
  const extents = await client.blockStatus('qemu:dirty-bitmap:b', 0, client.size);
  expect(extents.map(({ length, flags }) => [length, flags & STATUS_DIRTY])).toEqual([
    [MIB, 0],
    [65_536, STATUS_DIRTY],
    [3 * MIB - 65_536, 0],
  ]);
  const missing = openNbd({ socketPath, exportName: '', contexts: ['qemu:dirty-bitmap:c'] });
  await expect(missing).rejects.toMatchObject({ code: 'qemu-failed', message: expect.stringContaining('bitmap:c') });
  const unknown = openNbd({ socketPath, exportName: 'other' });
  await expect(unknown).rejects.toMatchObject({ code: 'qemu-failed', message: expect.stringContaining('"other"') });
});

test('what cannot be asked for is refused, and a server’s refusal ends one request only', async () => {
  const image = join(directory, 'raw');
  await writeFile(image, Buffer.alloc(MIB, 5));
  await serve(image, '-r', '-f', 'raw');
  client = await connectTo();
  const into = Buffer.alloc(512);
  for (const [offset, length] of [
    [0, 513],
    [MIB, 1],
    [-1, 1],
    [0, 0],
    [0.5, 1],
  ] as const) {
    await expect(client.read(offset, length, into)).rejects.toMatchObject({ code: 'bad-input' });
  }
  await expect(client.blockStatus('base:allocation', 0, 512)).rejects.toMatchObject({ code: 'bad-input' });
  await expect(client.write(0, into)).rejects.toMatchObject({ code: 'qemu-failed' });
  await client.read(0, 512, into);
  expect(into.every((byte) => byte === 5)).toBe(true);
});

test('a server that goes away rejects what waits and what comes after', async () => {
  const image = join(directory, 'raw');
  await writeFile(image, Buffer.alloc(64 * MIB));
  await serve(image, '-r', '-f', 'raw');
  client = await connectTo();
  const reads = Array.from({ length: 16 }, () => client.read(0, 32 * MIB, Buffer.alloc(32 * MIB)));
  server.kill('SIGKILL');
  const ends = await Promise.allSettled(reads);
  expect(ends.some(({ status }) => status === 'rejected')).toBe(true);
  await expect(client.read(0, 1, Buffer.alloc(1))).rejects.toMatchObject({ code: 'qemu-failed' });
});
