import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readerSettings } from '#vault/restore/open-reader.ts';
import { openFileStore } from '#vault/store/file-store.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { contentKey, Folder, nameOf } from '#vault/store/object-names.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { newDataMap } from '../../../functions/restorer/data-map.ts';
import { openDiskImage } from '../../../functions/restorer/disk-image.ts';
import { layoutOf } from '../../../functions/restorer/qcow2/layout.ts';
import { tablesOf } from '../../../functions/restorer/qcow2/tables.ts';
import type { ReadThreads } from '../../../functions/restorer/read-spans.ts';
import { runTool } from '../../guest/run-tool.ts';
import { imageOf, randomDisk } from '../../random-disk.ts';
import { lacks } from '../../setup/cache.ts';
import { newTestVault, type TestVault } from '../../vault-builder.ts';

const forever = new AbortController().signal;
const ENTRY = new URL('../../../functions/restorer/read-worker.ts', import.meta.url);
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-image-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function writeImage(vault: TestVault, manifest: string): Promise<string> {
  const path = join(folder, `${randomBytes(6).toString('hex')}.qcow2`);
  const image = await openDiskImage({ reader: vault, manifest, threads: undefined });
  await pipeline(Readable.from(image.content(forever)), createWriteStream(path));
  expect((await stat(path)).size).toBe(image.length);
  return path;
}

describe.skipIf(lacks('qemu'))('QEMU', () => {
  test('finds no fault in images of any disk, and the very disk in them', async () => {
    await fc.assert(
      fc.asyncProperty(randomDisk(), async (random) => {
        const vault = newTestVault(openMemoryStore());
        const disk = imageOf(random);
        const manifest = await vault.writeDisk({ size: disk.length, segments: random.order(disk) }, random.layout);
        const path = await writeImage(vault, manifest);
        await writeFile(`${path}.raw`, Buffer.concat([disk, Buffer.alloc(-disk.length & 511)]));
        expect(await runTool('qemu-img', ['check', '-f', 'qcow2', path])).toContain('No errors were found');
        const compared = await runTool('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', `${path}.raw`, path]);
        expect(compared).toContain('identical');
        await Promise.all([rm(path), rm(`${path}.raw`)]);
      }),
      { numRuns: 15 },
    );
  });

  test('takes an image of 3 GiB over several L2 tables and refcount blocks, takes new data into it, and finds no leak', async () => {
    const map = newDataMap(3 * 1024 ** 3);
    // So many clusters that a second refcount block is needed. Their content is of no matter here.
    map.add({ first: 200, count: 33_500 });
    const layout = layoutOf(map);
    expect(layout).toMatchObject({ refcountBlocks: { count: 2 }, l2Tables: { count: 5 } });
    const path = join(folder, 'large.qcow2');
    await writeFile(path, Buffer.concat([...tablesOf(layout, map)]));
    await truncate(path, layout.length);
    const found = JSON.parse(await runTool('qemu-img', ['check', '--output=json', path])) as Record<string, number>;
    expect(found).toMatchObject({ 'check-errors': 0, 'allocated-clusters': 33_500 });
    expect(found['leaks'] ?? 0).toBe(0);
    await runTool('qemu-io', ['-c', 'write -P 5 0 1M', '-c', 'write -P 6 2900M 1M', path]);
    expect(await runTool('qemu-img', ['check', path])).toContain('No errors were found');
  });
});

describe('threads', () => {
  async function digestOf(vault: TestVault, manifest: string, each: ReadThreads | undefined): Promise<string> {
    const image = await openDiskImage({ reader: vault, manifest, threads: each });
    const hash = createHash('sha256');
    for await (const piece of image.content(forever)) hash.update(piece);
    return hash.digest('hex');
  }

  async function largeDisk() {
    const store = openFileStore(join(folder, randomBytes(6).toString('hex')));
    const vault = newTestVault(store);
    const content = randomBytes(100 * 1024 ** 2);
    const segments = Array.from({ length: content.length / SEGMENT_SIZE }, (_, at) => ({
      start: at * 2 + 3,
      bytes: content.subarray(at * SEGMENT_SIZE, (at + 1) * SEGMENT_SIZE),
    }));
    const manifest = await vault.writeDisk({ size: 2 * content.length + 10 * SEGMENT_SIZE, segments });
    const threads: ReadThreads = { count: 2, entry: ENTRY, settings: () => readerSettings(vault) };
    return { vault, store, manifest, threads };
  }

  test('read the same image as one thread does', async () => {
    const { vault, manifest, threads } = await largeDisk();
    expect(await digestOf(vault, manifest, threads)).toBe(await digestOf(vault, manifest, undefined));
  });

  test('wait for a taker that is slow: no more than 48 MiB are read ahead', async () => {
    const { vault, manifest, threads } = await largeDisk();
    let asked = 0;
    const settings = () => {
      asked++;
      return threads.settings();
    };
    const image = await openDiskImage({ reader: vault, manifest, threads: { ...threads, settings } });
    const content = image.content(forever);
    for (let taken = 0; taken < 3; ) {
      const { value } = await content.next();
      if ((value?.length ?? 0) === 8 * 1024 ** 2) taken++;
      await new Promise((resolve) => setTimeout(resolve, 300));
      // The first of them is there before anything is given.
      expect(asked).toBeLessThanOrEqual(Math.max(taken, 1) + 6);
    }
    expect(asked).toBeGreaterThan(3);
    await content.return(undefined);
  });

  test('let go of what was taken: nothing of a long image stays in memory behind its taker', async () => {
    const vault = newTestVault(openFileStore(join(folder, randomBytes(6).toString('hex'))));
    const content = Array.from({ length: 128 }, () => randomBytes(SEGMENT_SIZE));
    const spans = 100;
    const segments = Array.from({ length: spans }, (_, span) =>
      content.map((bytes, at) => ({ start: span * content.length + at, bytes })),
    ).flat();
    const manifest = await vault.writeDisk({ size: segments.length * SEGMENT_SIZE, segments });
    const threads: ReadThreads = { count: 2, entry: ENTRY, settings: () => readerSettings(vault) };
    const image = await openDiskImage({ reader: vault, manifest, threads });
    const taken: WeakRef<Uint8Array>[] = [];
    const stay = async () => {
      // What a weak reference was asked for stays until the turn ends.
      await new Promise((resolve) => setImmediate(resolve));
      collectGarbage();
      return taken.filter((piece) => piece.deref() !== undefined).length;
    };
    for await (const piece of image.content(forever)) {
      if (piece.length === 8 * 1024 ** 2) taken.push(new WeakRef(piece));
      if (taken.length === spans - 10) expect(await stay()).toBeLessThan(spans / 4);
    }
    expect(taken.length).toBe(spans);
  });

  test('open the vault anew when rights are renewed', async () => {
    const { vault, manifest, threads } = await largeDisk();
    let renewed = 0;
    const settings = () => ({ ...threads.settings(), environment: { OS_TOKEN: String(Math.floor(renewed++ / 4)) } });
    const digest = await digestOf(vault, manifest, { ...threads, settings });
    expect(renewed).toBeGreaterThan(8);
    expect(digest).toBe(await digestOf(vault, manifest, undefined));
  });

  test('tell of damage by its code and the bytes of the disk', async () => {
    const { vault, store, manifest, threads } = await largeDisk();
    const keys = (await Array.fromAsync(store.list(Folder.packs))).map(({ key }) => key);
    await store.remove([contentKey(Folder.packs, nameOf(keys.at(-1) ?? '') ?? '')]);
    await expect(digestOf(vault, manifest, threads)).rejects.toMatchObject({
      code: 'object-missing',
      message: expect.stringMatching(/Bytes \d+ to \d+ of the disk/),
    });
  });
});
