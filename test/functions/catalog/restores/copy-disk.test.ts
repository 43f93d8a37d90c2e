import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { EkkoError } from '#vault/errors.ts';
import { actingCaller } from '../../../../functions/catalog/acting-caller.ts';
import type { CloudImage, Images } from '../../../../functions/catalog/cloud/images.ts';
import { copyDisk } from '../../../../functions/catalog/restores/copy-disk.ts';
import { Lost } from '../../../../functions/catalog/restores/restore-changes.ts';
import type { RestoredDisk } from '../../../../functions/catalog/restores/restore-record.ts';

const content = Buffer.from('what the disk held');
const caller = { token: 't', project: 'a', user: 'u', roles: ['member'], expiresAt: Number.POSITIVE_INFINITY };
const away = () => new EkkoError('store-failed', 'The registry is away.');

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** An image service that keeps what it is sent, whole. */
function fakeImages() {
  const there = new Map<string, CloudImage>();
  const images: Images = {
    create: async (_, { id }) => void there.set(id, { status: 'queued', size: undefined, sha512: undefined }),
    async send(_, id, { content: pieces }) {
      const size = Buffer.concat(await Array.fromAsync(pieces)).length;
      there.set(id, { status: 'active', size, sha512: undefined });
    },
    find: async (_, id) => there.get(id),
    publish: async () => undefined,
    remove: async (_, id) => {
      there.delete(id);
      return true;
    },
  };
  return { images, there };
}

/** Copies a disk whose record lives in memory. `fail` says what becomes of the note of its end, time after time. */
function copyWith(fail: (time: number) => Error | undefined) {
  const { images, there } = fakeImages();
  const end = new AbortController();
  let disk: RestoredDisk = {
    ...{ name: 's/root', manifest: 'm', size: content.length, becomes: 'image', imageName: 'root', properties: {} },
    ...{ volume: {}, state: 'waiting', attempts: 0, bytesDone: 0 },
  };
  let times = 0;
  const note = async (change: Partial<RestoredDisk>) => {
    const failure = change.state === 'complete' ? fail(++times) : undefined;
    if (failure !== undefined) throw failure;
    disk = { ...disk, ...change };
  };
  async function* pieces() {
    yield content;
  }
  const done = copyDisk({
    ...{ disk, images, note, acting: actingCaller(caller), progress: () => undefined, signal: end.signal },
    open: async () => ({ length: content.length, content: pieces }),
  });
  return { done, end, there, disk: () => disk };
}

test('a registry that fails for a while when an image is whole costs neither the image nor another attempt', async () => {
  const { done, there, disk } = copyWith((time) => (time <= 3 ? away() : undefined));
  await vi.runAllTimersAsync();
  await done;
  expect(disk()).toMatchObject({ state: 'complete', attempts: 1, bytesDone: content.length });
  expect([...there.keys()]).toEqual([disk().image]);
});

test('one that fails for long leaves the image to whoever goes on, by its name', async () => {
  const { done, there, disk } = copyWith(away);
  const failed = expect(done).rejects.toMatchObject({ code: 'store-failed' });
  await vi.runAllTimersAsync();
  await failed;
  expect(disk()).toMatchObject({ state: 'copying', attempts: 1 });
  expect([...there.keys()]).toEqual([disk().image]);
});

test('an image that is whole when the restore is another process’s is removed', async () => {
  const { done, there } = copyWith(() => new Lost());
  await expect(done).rejects.toBeInstanceOf(Lost);
  expect(there.size).toBe(0);
});

test('what is noted as complete stays, though the restore is ended at that moment', async () => {
  const { done, end, there, disk } = copyWith(() => {
    end.abort(new Lost());
    return undefined;
  });
  await done;
  expect(disk().state).toBe('complete');
  expect(there.size).toBe(1);
});
