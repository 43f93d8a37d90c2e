import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { EkkoError } from '#vault/errors.ts';
import { digestOfFile } from '../../../host-exporter/changed-blocks/image-digest.ts';
import { openMeasuredImages } from '../../../host-exporter/changed-blocks/measured-images.ts';

vi.mock('../../../host-exporter/changed-blocks/image-digest.ts');

const DIGEST = 'ab'.repeat(32);
const busy = new EkkoError('busy', 'it was written to');
let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-measured-'));
  path = join(folder, 'base');
  await writeFile(path, 'content');
  vi.mocked(digestOfFile).mockReset();
  vi.mocked(digestOfFile).mockResolvedValue({ size: 512, digest: DIGEST });
});
afterEach(() => rm(folder, { recursive: true }));

describe('a base image', () => {
  test('whose times are set while it is read is read once more', async () => {
    vi.mocked(digestOfFile).mockRejectedValueOnce(busy);
    const images = openMeasuredImages(undefined);
    expect(await images.measure(path, 'raw')).toMatchObject({ digest: DIGEST });
    expect(digestOfFile).toHaveBeenCalledTimes(2);
    expect(await images.recall(path, 'raw')).toMatchObject({ digest: DIGEST });
  });

  test('that is busy each time, or cannot be read, is given up', async () => {
    vi.mocked(digestOfFile).mockRejectedValue(busy);
    await expect(openMeasuredImages(undefined).measure(path, 'raw')).rejects.toBe(busy);
    expect(digestOfFile).toHaveBeenCalledTimes(2);
    vi.mocked(digestOfFile).mockRejectedValue(new EkkoError('qemu-failed', 'no'));
    await expect(openMeasuredImages(undefined).measure(path, 'raw')).rejects.toMatchObject({ code: 'qemu-failed' });
    expect(digestOfFile).toHaveBeenCalledTimes(3);
  });

  test('is known by the next process until its times change', async () => {
    await openMeasuredImages(folder).measure(path, 'raw');
    expect(await openMeasuredImages(folder).recall(path, 'raw')).toMatchObject({ digest: DIGEST });
    await utimes(path, new Date(), new Date());
    expect(await openMeasuredImages(folder).recall(path, 'raw')).toBeUndefined();
  });

  test('that is gone leaves no note behind, and no other file is touched', async () => {
    const others = [`ekko-image-${'0'.repeat(16)}.json`, 'ekko-other.json'];
    for (const name of others) await writeFile(join(folder, name), '{');
    const gone = join(folder, 'gone');
    await writeFile(gone, 'content');
    const images = openMeasuredImages(folder);
    for (const file of [path, gone]) await images.measure(file, 'raw');
    expect(await readdir(folder)).toHaveLength(6);
    await rm(gone);
    openMeasuredImages(folder);
    await vi.waitFor(async () => expect(await readdir(folder)).toHaveLength(4), 30_000);
    expect(await readdir(folder)).toEqual(expect.arrayContaining(['base', ...others]));
    expect(await openMeasuredImages(folder).recall(path, 'raw')).toMatchObject({ digest: DIGEST });
  });

  test('of which no note can be written is measured all the same', async () => {
    const images = openMeasuredImages(join(folder, 'missing'));
    expect(await images.measure(path, 'raw')).toMatchObject({ digest: DIGEST });
  });
});
