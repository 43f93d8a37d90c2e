import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EkkoError } from '#vault/errors.ts';
import { openFileStore } from '#vault/store/file-store.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { restoreDisk } from '../../../host-exporter/restore/restore-disk.ts';
import type { RestoreProgress } from '../../../host-exporter/restore/restore-ledger.ts';
import { statePathOf } from '../../../host-exporter/restore/restore-state.ts';
import { imageOf, randomDisk } from '../../random-disk.ts';
import { newTestVault } from '../../vault-builder.ts';
import { requestFor, restored, storeDisk, withFolder, wrongSegments } from './restored-disk.ts';

const ENTRY = new URL('../../../host-exporter/restore/restore-worker.ts', import.meta.url);

describe('Restoring a disk', () => {
  it('gives back any disk bit for bit, in a file that is as sparse', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'disk');
      await fc.assert(
        fc.asyncProperty(randomDisk(), async (random) => {
          const vault = newTestVault(openMemoryStore());
          const image = imageOf(random);
          const manifest = await vault.writeDisk({ size: image.length, segments: random.order(image) }, random.layout);
          const target = { kind: 'raw', path, overwrite: true } as const;
          const rest = { point: 'p', disk: 'd', threads: undefined, bestEffort: false, resume: false, durable: false };
          const result = await restoreDisk({ reader: vault, manifest, target, ...rest });
          expect((await readFile(path)).equals(image)).toBe(true);
          expect(result.dataBytes + result.zeroBytes).toBe(image.length);
          const data = random.contents.filter((content) => content !== 0).length;
          expect((await stat(path)).blocks * 512).toBeLessThanOrEqual(data * SEGMENT_SIZE);
        }),
        { numRuns: 50 },
      );
    }));

  it.each([1, 3])('gives back the same disk by %i threads, which open the vault themselves', (count) =>
    withFolder(async (folder) => {
      const disk = await storeDisk(openFileStore(join(folder, 'vault')));
      const path = join(folder, 'disk');
      const result = await restored(disk, path, { threads: { count, entry: ENTRY }, durable: true });
      expect(await wrongSegments(disk, path)).toEqual([]);
      expect(result).toMatchObject({ diskSize: disk.size, unreadable: [] });
      expect(result.requests).toBeGreaterThan(3);
    }),
  );

  it('fails in a thread with the code and the name that it has without', () =>
    withFolder(async (folder) => {
      const disk = await storeDisk(openFileStore(join(folder, 'vault')));
      for await (const { key } of disk.vault.store.list('packs/')) await disk.vault.store.remove([key]);
      await expect(restored(disk, join(folder, 'disk'), { threads: { count: 2, entry: ENTRY } })).rejects.toMatchObject(
        { code: 'object-missing', message: expect.stringMatching(/packs\/.*Bytes \d+/s) },
      );
    }));

  it('knows all of its progress beforehand', () =>
    withFolder(async (folder) => {
      const disk = await storeDisk(openMemoryStore());
      const seen: RestoreProgress[] = [];
      await restored(disk, join(folder, 'disk'), { onProgress: (progress) => seen.push(progress) });
      const totalBytes = disk.contents.size * SEGMENT_SIZE;
      expect(seen.every((progress) => progress.totalBytes === totalBytes)).toBe(true);
      expect(seen.at(-1)?.doneBytes).toBe(totalBytes);
    }));

  it('leaves nothing but the disk', () =>
    withFolder(async (folder) => {
      const disk = await storeDisk(openMemoryStore());
      const path = join(folder, 'disk');
      await restored(disk, path, { durable: true });
      await expect(stat(statePathOf(path))).rejects.toMatchObject({ code: 'ENOENT' });
    }));
});

describe('A restore that was cut off', () => {
  it('can be resumed when its store works again', () =>
    withFolder(async (folder) => {
      const disk = await storeDisk(openMemoryStore());
      const path = join(folder, 'disk');
      const cut = breakingStore(disk.vault.store, 3);
      await expect(restored({ ...disk, vault: { ...disk.vault, store: cut } }, path)).rejects.toMatchObject({
        code: 'store-failed',
      });
      await restored(disk, path, { resume: true });
      expect(await wrongSegments(disk, path)).toEqual([]);
    }));

  it('does not do again what is done', () =>
    withFolder(async (folder) => {
      const { disk, path } = await cutOff(folder);
      const state = JSON.parse(await readFile(statePathOf(path), 'utf8'));
      const all = [{ first: 0, count: Math.ceil(disk.size / SEGMENT_SIZE) }];
      await writeFile(statePathOf(path), JSON.stringify({ ...state, done: all }));
      expect(await restored(disk, path, { resume: true })).toMatchObject({ dataBytes: 0, zeroBytes: 0 });
    }));

  it('can be ended by a signal', () =>
    withFolder(async (folder) => {
      const disk = await storeDisk(openMemoryStore());
      const path = join(folder, 'disk');
      const reason = new Error('enough');
      await expect(restored(disk, path, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      await restored(disk, path, { resume: true });
      expect(await wrongSegments(disk, path)).toEqual([]);
    }));

  it('is not taken for another one', () =>
    withFolder(async (folder) => {
      const { disk, path } = await cutOff(folder);
      await expect(restored(disk, path)).rejects.toMatchObject({ code: 'target-failed' });
      for (const other of [{ point: 'another' }, { disk: 'another' }]) {
        await expect(restoreDisk({ ...requestFor(disk, path), resume: true, ...other })).rejects.toMatchObject({
          code: 'target-failed',
          message: expect.stringContaining('another'),
        });
      }
    }));

  it('can be overwritten', () =>
    withFolder(async (folder) => {
      const { disk, path } = await cutOff(folder);
      await restored(disk, path, { target: { kind: 'raw', path, overwrite: true } });
      expect(await wrongSegments(disk, path)).toEqual([]);
    }));

  it('begins again where the machine went down before it was flushed', () =>
    withFolder(async (folder) => {
      const { disk, path } = await cutOff(folder);
      const state = JSON.parse(await readFile(statePathOf(path), 'utf8'));
      const all = [{ first: 0, count: Math.ceil(disk.size / SEGMENT_SIZE) }];
      await writeFile(statePathOf(path), JSON.stringify({ ...state, boot: 'earlier', done: all }));
      await restored(disk, path, { resume: true });
      expect(await wrongSegments(disk, path)).toEqual([]);
    }));

  it.each(['', 'x', '{}', 'null', '{"format":2,"done":[],"unreadable":[]}'])(
    'is refused when its state is %j',
    (text) =>
      withFolder(async (folder) => {
        const { disk, path } = await cutOff(folder);
        await writeFile(statePathOf(path), text);
        await expect(restored(disk, path, { resume: true })).rejects.toMatchObject({ code: 'target-failed' });
      }),
  );

  it('without its target is refused', () =>
    withFolder(async (folder) => {
      const { disk, path } = await cutOff(folder);
      await rm(path);
      await expect(restored(disk, path, { resume: true })).rejects.toMatchObject({ code: 'target-failed' });
    }));

  it('that is to be resumed but is not there begins as a new one', () =>
    withFolder(async (folder) => {
      const disk = await storeDisk(openMemoryStore());
      const path = join(folder, 'disk');
      await restored(disk, path, { resume: true });
      expect(await wrongSegments(disk, path)).toEqual([]);
      await expect(restored(disk, path, { resume: true })).rejects.toMatchObject({ code: 'target-failed' });
    }));
});

async function cutOff(folder: string) {
  const disk = await storeDisk(openMemoryStore());
  const path = join(folder, 'disk');
  const store = breakingStore(disk.vault.store, 3);
  await restored({ ...disk, vault: { ...disk.vault, store } }, path).catch(() => undefined);
  return { disk, path };
}

/** A store whose packs can be read so many times, and then no more. */
function breakingStore(store: ObjectStore, reads: number): ObjectStore {
  let left = reads;
  return {
    ...store,
    get: async (key, range) => {
      if (key.startsWith('packs/') && left-- <= 0) throw new EkkoError('store-failed', `Cannot read ${key}.`);
      return store.get(key, range);
    },
  };
}
