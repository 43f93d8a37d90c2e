import { type FileHandle, mkdtemp, open, readdir, rm, rmdir, truncate, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openFileStore } from '#vault/store/file-store.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { storeFailure } from '#vault/store/system-errors.ts';

/** What the kernel does to a call, in the order of the calls; afterwards it does what it should. */
const links = vi.hoisted(() => ({
  faults: [] as ((link: () => Promise<void>, from: string, to: string) => Promise<void>)[],
}));

/** Done to the next file that is opened. */
const opens = vi.hoisted(() => ({ next: undefined as ((file: FileHandle) => void) | undefined }));

vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs/promises')>();
  const link = (from: string, to: string) => {
    const fault = links.faults.shift();
    return fault === undefined ? real.link(from, to) : fault(() => real.link(from, to), from, to);
  };
  const open: typeof real.open = async (...call) => {
    const file = await real.open(...call);
    opens.next?.(file);
    opens.next = undefined;
    return file;
  };
  return { ...real, link, open };
});

const BODY = [Buffer.from('bo'), Buffer.from('dy')];
let root = '';
let store: ObjectStore;
let files: FileHandle;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'ekko-store-'));
  store = openFileStore(root);
  await using any = await open(root);
  files = Object.getPrototypeOf(any);
});
afterEach(async () => {
  vi.restoreAllMocks();
  links.faults = [];
  await rm(root, { recursive: true });
});

const systemError = (code: string, errno: number) => Object.assign(new Error(code), { code, errno, syscall: 'test' });
const incoming = () => readdir(join(root, '.incoming'));

test.each([
  ['EEXIST', -17],
  ['EIO', -5],
  ['ENOENT', -2],
])('a link that worked is a success even when NFS reports %s', async (code, errno) => {
  links.faults = [
    async (link) => {
      await link();
      throw systemError(code, errno);
    },
  ];
  expect(await store.create('a', BODY)).toBe('created');
  expect(await store.get('a')).toEqual(Buffer.from('body'));
  expect(await incoming()).toEqual([]);
});

test('a link that fails for good leaves nothing', async () => {
  links.faults = [() => Promise.reject(systemError('EPERM', -1))];
  await expect(store.create('a', BODY)).rejects.toMatchObject({
    code: 'store-failed',
    message: expect.stringContaining('hard links'),
  });
  await expect(store.get('a')).rejects.toMatchObject({ code: 'object-missing' });
  expect(await incoming()).toEqual([]);
});

test("a temporary file that somebody's clean-up took is written again", async () => {
  links.faults = [async (link, from) => unlink(from).then(link)];
  expect(await store.create('a', BODY)).toBe('created');
  expect(await store.get('a')).toEqual(Buffer.from('body'));
});

test('a folder that was pruned before the link is made again', async () => {
  links.faults = [async (link, _, to) => rmdir(dirname(to)).then(link)];
  expect(await store.create('deep/er/a', BODY)).toBe('created');
  expect(await store.get('deep/er/a')).toEqual(Buffer.from('body'));
});

test('a temporary folder that was removed is made again', async () => {
  await store.create('a', BODY);
  await rm(join(root, '.incoming'), { recursive: true });
  expect(await store.create('b', BODY)).toBe('created');
});

test('a create gives up when its files vanish again and again', async () => {
  links.faults = Array.from({ length: 20 }, () => () => Promise.reject(systemError('ENOENT', -2)));
  await expect(store.create('a', BODY)).rejects.toMatchObject({ code: 'store-failed' });
  expect(links.faults.length).toBeGreaterThan(5);
});

test('short writes are continued where they ended', async () => {
  const real = files.writev;
  const sizes: number[] = [];
  vi.spyOn(files, 'writev').mockImplementation(function (this: FileHandle, pieces: readonly NodeJS.ArrayBufferView[]) {
    const first = pieces[0] as Uint8Array;
    sizes.push(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
    return real.call(this, [first.subarray(0, Math.ceil(first.length / 2))]);
  } as typeof real);
  await store.create('a', [Buffer.from('abcde'), Buffer.from('f'), Buffer.from('ghi')]);
  vi.restoreAllMocks();
  expect(await store.get('a')).toEqual(Buffer.from('abcdefghi'));
  expect(sizes).toEqual([9, 6, 5, 4, 3, 1]);
});

test.each(['writev', 'datasync', 'close'] as const)(
  'an error of %s leaves neither object nor temporary file',
  async (call) => {
    opens.next = (file) => {
      const close = file.close.bind(file);
      vi.spyOn(file, call).mockImplementationOnce(async () => {
        if (call === 'close') await close();
        throw systemError('ENOSPC', -28);
      });
    };
    const failure = store.create('packs/a', BODY);
    await expect(failure).rejects.toMatchObject({
      code: 'store-failed',
      message: expect.stringContaining('no space left on device (ENOSPC)'),
    });
    await expect(failure).rejects.toThrow(join(root, 'packs/a'));
    await expect(store.get('packs/a')).rejects.toMatchObject({ code: 'object-missing' });
    expect(await incoming()).toEqual([]);
    expect(await store.create('packs/a', BODY)).toBe('created');
  },
);

test('short reads are continued where they ended', async () => {
  await store.create('a', [Buffer.from('abcdefghi')]);
  const real = files.read as (bytes: Buffer, offset: number, length: number, position: number) => Promise<unknown>;
  const read = vi.spyOn(files, 'read').mockImplementation(function (this: FileHandle, ...call: unknown[]) {
    const [bytes, offset, length, position] = call as Parameters<typeof real>;
    return real.call(this, bytes, offset, Math.ceil(length / 2), position);
  } as typeof files.read);
  expect(await store.get('a', { start: 1, end: 8 })).toEqual(Buffer.from('bcdefgh'));
  expect(read).toHaveBeenCalledTimes(3);
});

test('a file that turns out shorter than it was gives what there is, in a buffer of just that', async () => {
  await store.create('a', [Buffer.from('abcdefghi')]);
  opens.next = (file) => {
    const real = file.stat.bind(file);
    vi.spyOn(file, 'stat').mockImplementation((async () => {
      const found = await real();
      await truncate(join(root, 'a'), 4);
      return found;
    }) as typeof file.stat);
  };
  const bytes = await store.get('a');
  expect(bytes).toEqual(Buffer.from('abcd'));
  expect(bytes.buffer.byteLength).toBe(4);
});

test('an object whose folder could not be flushed is reported, and flushed by the next try', async () => {
  await store.create('packs/a', BODY);
  const sync = vi.spyOn(files, 'sync').mockRejectedValueOnce(systemError('EIO', -5));
  await expect(store.create('packs/b', BODY)).rejects.toMatchObject({ code: 'store-failed' });
  sync.mockClear();
  expect(await store.create('packs/b', BODY)).toBe('exists');
  expect(sync).toHaveBeenCalledTimes(1);
});

test('a file system that cannot flush folders is put up with', async () => {
  vi.spyOn(files, 'sync').mockRejectedValue(systemError('EINVAL', -22));
  expect(await store.create('packs/a', BODY)).toBe('created');
});

test('an object that need not be durable costs no flush at all', async () => {
  const flushes = [vi.spyOn(files, 'sync'), vi.spyOn(files, 'datasync')];
  await store.create('new/folder/a', BODY, { durable: false });
  await store.create('new/folder/a', BODY, { durable: false });
  for (const flush of flushes) expect(flush).not.toHaveBeenCalled();
});

test('a durable object costs one flush of its bytes and one of its folder, in that order', async () => {
  await store.create('packs/aa/a', BODY);
  const bytes = vi.spyOn(files, 'datasync');
  const names = vi.spyOn(files, 'sync');
  links.faults = [
    async (link) => {
      expect([bytes.mock.calls.length, names.mock.calls.length]).toEqual([1, 0]);
      await link();
    },
  ];
  await store.create('packs/aa/b', BODY);
  expect([bytes.mock.calls.length, names.mock.calls.length]).toEqual([1, 1]);
});

test('a new folder is flushed into its parents once, and again after somebody pruned it', async () => {
  const names = vi.spyOn(files, 'sync');
  const flushesOf = async (key: string) => {
    names.mockClear();
    await store.create(key, BODY);
    return names.mock.calls.length;
  };
  await flushesOf('packs/a');
  expect(await flushesOf('packs/aa/a')).toBe(2);
  expect(await flushesOf('packs/aa/b')).toBe(1);
  await openFileStore(root).remove(['packs/aa/a', 'packs/aa/b']);
  expect(await flushesOf('packs/aa/c')).toBe(2);
});

test.each([
  ['ENOSPC', -28, 'free space'],
  ['EDQUOT', -122, 'quota'],
  ['EACCES', -13, 'right to read and write'],
  ['EROFS', -30, 'read-only'],
  ['EMFILE', -24, 'ulimit -n'],
  ['EIO', -5, 'kernel log'],
  ['EBUSY', -16, 'resource busy'],
])('%s becomes store-failed with its text and advice', (code, errno, advice) => {
  const cause = systemError(code, errno);
  const failure = storeFailure(cause, 'Cannot write /a/b');
  expect(failure).toMatchObject({
    code: 'store-failed',
    cause,
    message: expect.stringMatching(/^Cannot write \/a\/b: .+\.$/),
  });
  expect((failure as Error).message).toContain(code);
  expect((failure as Error).message).toContain(advice);
});

test('an error that is not of the system stays as it is', () => {
  const bug = new TypeError('a bug');
  expect(storeFailure(bug, 'Cannot write /a/b')).toBe(bug);
});
