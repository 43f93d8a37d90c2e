import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type ReaderSettings, readerSettings } from '#vault/restore/open-reader.ts';
import { openFileStore } from '#vault/store/file-store.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { statePathOf } from '../../../host-exporter/restore/restore-state.ts';
import { newTestVault, type TestSegment } from '../../vault-builder.ts';
import { restoreInChild } from './child-restore.ts';
import { withFolder } from './restored-disk.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;

/** A disk in a vault, and as a file to compare with. */
interface LargeDisk {
  readonly image: string;
  readonly size: number;
  readonly manifest: string;
  readonly settings: ReaderSettings;
}

/** `dataMiB` of data that does not compress, every 8 MiB followed by 4 MiB of zeros. */
async function storeLargeDisk(folder: string, dataMiB: number): Promise<LargeDisk> {
  const vault = newTestVault(openFileStore(join(folder, 'vault')));
  const path = join(folder, 'image');
  const size = (dataMiB / 8) * 12 * MIB;
  const image = await open(path, 'wx');
  await image.truncate(size);
  async function* segments(): AsyncGenerator<TestSegment> {
    for (let at = 0; at < size; at += 12 * MIB) {
      const bytes = randomBytes(8 * MIB);
      await image.write(bytes, 0, bytes.length, at);
      for (let i = 0; i < bytes.length; i += SEGMENT_SIZE) {
        yield { start: (at + i) / SEGMENT_SIZE, bytes: bytes.subarray(i, i + SEGMENT_SIZE) };
      }
    }
  }
  const manifest = await vault.writeDisk({ size, segments: segments() });
  await image.close();
  return { image: path, size, manifest, settings: readerSettings(vault) };
}

async function identical(disk: LargeDisk, path: string, kind: 'raw' | 'qcow2'): Promise<boolean> {
  const compare = ['compare', '-f', 'raw', '-F', kind, disk.image, path];
  const { stdout } = await run('qemu-img', compare).catch((error: { stdout: string }) => error);
  if (kind === 'qcow2') await run('qemu-img', ['check', '-f', 'qcow2', path]);
  return stdout.includes('Images are identical.');
}

describe.each(['raw', 'qcow2'] as const)('A restore to a %s file', (kind) => {
  it('that was killed goes on from where it was, and the disk is the same bit for bit', () =>
    withFolder(async (folder) => {
      const disk = await storeLargeDisk(folder, 640);
      const path = join(folder, 'disk');
      const target = { kind, path, overwrite: false };
      const first = restoreInChild(disk, target, false);
      // Killed as soon as something has been recorded as done.
      first.onProgress = async () => {
        if ((await recordedSegments(path)) > 0) first.kill();
      };
      await expect(first.ended).rejects.toThrow(/SIGKILL/);
      const recorded = await recordedSegments(path);
      expect(recorded).toBeGreaterThan(0);
      const { result } = await restoreInChild(disk, target, true).ended;
      expect(result.dataBytes).toBeGreaterThan(0);
      expect(result.dataBytes + result.zeroBytes).toBe(disk.size - recorded * SEGMENT_SIZE);
      expect(await identical(disk, path, kind)).toBe(true);
      expect((await readdir(folder)).sort()).toEqual(['disk', 'image', 'vault']);
    }));

  it('takes less than 512 MiB of memory', () =>
    withFolder(async (folder) => {
      const disk = await storeLargeDisk(folder, 1024);
      const path = join(folder, 'disk');
      const { rss } = await restoreInChild(disk, { kind, path, overwrite: false }, false).ended;
      expect(rss / MIB).toBeLessThan(512);
    }));
});

async function recordedSegments(path: string): Promise<number> {
  const state = JSON.parse(await readFile(statePathOf(path), 'utf8')) as { done: { count: number }[] };
  return state.done.reduce((sum, { count }) => sum + count, 0);
}

describe.skipIf(process.getuid?.() !== 0)('On a file system that is too small', () => {
  it.each(['raw', 'qcow2'] as const)('a restore to a %s file says so, and goes on when there is room', (kind) =>
    withFolder(async (folder) => {
      const disk = await storeLargeDisk(folder, 128);
      const small = join(folder, 'small');
      await mkdir(small);
      await run('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', small]);
      try {
        const target = { kind, path: join(small, 'disk'), overwrite: false };
        await expect(restoreInChild(disk, target, false).ended).rejects.toThrow(
          /(ENOSPC|No space).*Make room[\s\S]*target-failed/,
        );
        await run('mount', ['-o', 'remount,size=512m', small]);
        await restoreInChild(disk, target, true).ended;
        expect(await identical(disk, target.path, kind)).toBe(true);
      } finally {
        await unmount(small);
      }
    }),
  );
});

/** A daemon that was just told to end may still hold it. */
async function unmount(path: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await run('umount', [path]);
      return;
    } catch (error) {
      if (attempt === 20) throw error;
    }
    await delay(250);
  }
}
