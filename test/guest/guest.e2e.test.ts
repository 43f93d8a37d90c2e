import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lacks } from '../setup/cache.ts';
import { buildGuest, type GuestImage } from './build-guest.ts';
import { createDisks } from './disks.ts';
import type { Guest } from './guest.ts';
import { runTool } from './run-tool.ts';
import { type GuestDisk, startGuest } from './start-guest.ts';

describe.skipIf(lacks('guest'))('the test guest', { timeout: 120_000 }, () => {
  let directory: string;
  let image: GuestImage;
  let disks: GuestDisk[];
  let guest: Guest;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'ekko-guest-'));
    image = await buildGuest();
    disks = await createDisks(image, directory);
    guest = await startGuest({ image, directory, disks });
  }, 120_000);

  afterAll(async () => {
    await guest?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  test('is cached: a second build gives the same files', async () => {
    expect(await buildGuest()).toEqual(image);
  });

  test('is built alike bit for bit', async () => {
    const again = await buildGuest(join(directory, 'again'));
    for (const part of ['initrd', 'base', 'data'] as const) {
      // cmp says nothing of equal files and fails on others.
      expect(await runTool('cmp', [image[part], again[part]])).toBe('');
    }
  });

  test('mounts both disks as ext4', async () => {
    const mounts = await guest.check('grep /dev/vd /proc/mounts');
    expect(mounts).toMatch(/^\/dev\/vda \/ ext4 rw/m);
    expect(mounts).toMatch(/^\/dev\/vdb \/mnt\/vdb ext4 rw/m);
  });

  test('gives exit codes and whole output of commands', async () => {
    expect(await guest.run('echo one; echo two >&2; exit 7')).toEqual({ code: 7, output: 'one\ntwo\n' });
    expect((await guest.check('seq 1 200000')).length).toBe(1_288_895);
    await expect(guest.check('false')).rejects.toThrow('exit code 1: false');
  });

  test('says which command did not finish', async () => {
    await expect(guest.run('sleep 2', 200)).rejects.toThrow('within 200 ms: sleep 2');
    expect(await guest.check('echo still there')).toBe('still there\n');
  });

  test('runs the guest agent', async () => {
    expect(await guest.check('pidof qemu-ga')).toMatch(/^\d+\n$/);
  });

  test('keeps what it wrote on each disk over a restart', async () => {
    await guest.check('echo red > /colour; echo blue > /mnt/vdb/colour; sync');
    await guest.shutdown();
    for (const disk of disks) execFileSync('qemu-img', ['check', '-q', disk.path]);
    guest = await startGuest({ image, directory, disks });
    expect(await guest.check('cat /colour /mnt/vdb/colour')).toBe('red\nblue\n');
  });

  test('names what is wrong when it cannot boot', async () => {
    await expect(startGuest({ image, directory, disks: [{ path: '/nowhere', format: 'raw' }] })).rejects.toThrow(
      '/nowhere',
    );
  });
});
