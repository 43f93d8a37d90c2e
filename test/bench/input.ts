import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isZero } from '#vault/dedupe/segment-id.ts';
import { chooseFiles, countFolders } from './choose-files.ts';
import { measure } from './process.ts';
import { segmentsIn, slicesOf } from './slices.ts';

/** The disk that everything is measured with: an ext4 file system with real files, as a raw image. */
export interface Image {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
  /** In segments that are not all zero. */
  readonly dataBytes: number;
}

const SOURCE = '/usr';
/** 5 of 8 GiB hold files. */
const FILLED = 5 / 8;
/** Keeps chance and the clock out of the image: the same files give nearly the same bytes. */
const FIXED_ID = '00000000-0000-4000-8000-000000000001';
const FIXED_TIME = '1700000000';

/** Makes the image in `folder`, or takes the one that is there, and reads it once: it is in the page cache afterwards. */
export async function makeImage(folder: string, size: number): Promise<Image> {
  const path = join(folder, `disk-${size}.img`);
  if (!existsSync(path)) await buildImage(folder, path, size);
  return { path, size, ...(await examine(path)) };
}

async function buildImage(folder: string, path: string, size: number): Promise<void> {
  const [stage, fresh] = [join(folder, 'stage'), `${path}.fresh`];
  await rm(stage, { recursive: true, force: true });
  const files = await chooseFiles(SOURCE, size * FILLED);
  await copyFiles(files, stage);
  await makeFileSystem(stage, fresh, size, files.length + countFolders(files) + 100);
  await rm(stage, { recursive: true });
  await rename(fresh, path);
}

async function copyFiles(files: readonly string[], stage: string): Promise<void> {
  await mkdir(stage, { recursive: true });
  const list = `${stage}.txt`;
  await writeFile(list, files.join('\0'));
  const copy = 'tar -C "$1" --null -T "$2" -cf - | tar -C "$3" --no-same-owner -xf -';
  await measure({ program: 'sh', args: ['-ec', copy, 'sh', SOURCE, list, stage] });
  await rm(list);
}

async function makeFileSystem(stage: string, path: string, size: number, inodes: number): Promise<void> {
  await using file = await open(path, 'w');
  await file.truncate(size);
  const options = ['-U', FIXED_ID, '-E', `hash_seed=${FIXED_ID}`, '-b', '4096', '-N', String(inodes), '-m', '0'];
  await measure({
    program: 'mkfs.ext4',
    args: ['-q', '-F', ...options, '-d', stage, path],
    env: { E2FSPROGS_FAKE_TIME: FIXED_TIME },
  });
}

/** Reads an image whole. */
async function examine(path: string): Promise<Pick<Image, 'sha256' | 'dataBytes'>> {
  const hash = createHash('sha256');
  let dataBytes = 0;
  for await (const bytes of slicesOf(path)) {
    hash.update(bytes);
    for (const segment of segmentsIn(bytes)) if (!isZero(segment)) dataBytes += segment.length;
  }
  return { sha256: hash.digest('hex'), dataBytes };
}
