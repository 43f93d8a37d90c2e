import { createHash } from 'node:crypto';
import { access, readdir, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import pLimit from 'p-limit';
import { codeOf } from '#vault/errors.ts';
import type { BaseImage } from '#vault/staging/changed-block-source.ts';
import { systemCodeOf } from '#vault/store/system-errors.ts';
import { type FileIdentity, identityOf, isSameFile } from '../qemu/file-identity.ts';
import { asObject, countOf, textOf } from '../qemu/json-value.ts';
import { OWN_PREFIX } from './bitmaps.ts';
import { digestOfFile } from './image-digest.ts';

/** A base image, and the very file that was read. */
export interface MeasuredImage extends BaseImage {
  readonly identity: FileIdentity;
}

/** Digests of base images: each file is read once, and again only when it, or its times, have changed. */
export interface MeasuredImages {
  /** Reads the file unless that was done. Throws `busy` when it is written to, `disk-unknown`, `qemu-failed`. */
  measure(path: string, format: BaseImage['format']): Promise<MeasuredImage>;
  /** What was read of the file that lies at `path` now; undefined where it was not read, or has changed since. */
  recall(path: string, format: BaseImage['format']): Promise<MeasuredImage | undefined>;
}

/** Two changes within one tick of a file system's clock look like one: what was just changed is read when that is over. Milliseconds. */
const TICK = { fine: 50, coarse: 2000 };

/** Images whose digests are in memory; of others there is the note. */
const MOST_KNOWN = 1000;

/**
 * `directory`: where digests are kept for the next process, if they are to be; nobody else may write it. Those of files that are gone are removed
 * from there, in no hurry.
 */
export function openMeasuredImages(directory: string | undefined): MeasuredImages {
  const known = new LRUCache<string, MeasuredImage>({ max: MOST_KNOWN });
  if (directory !== undefined) removeOldNotes(directory).catch(() => undefined);
  const measuring = new Map<string, Promise<MeasuredImage>>();
  const oneByOne = pLimit(1);
  const nameOf = (path: string, format: string) => `${format} ${path}`;

  async function recall(path: string, format: BaseImage['format']): Promise<MeasuredImage | undefined> {
    const found = known.get(nameOf(path, format)) ?? (directory && (await readNote(directory, path, format)));
    const now = await identityAt(path).catch(() => undefined);
    if (!found || now === undefined || !isSameFile(found.identity, now)) return undefined;
    known.set(nameOf(path, format), found);
    return found;
  }

  async function measureNow(path: string, format: BaseImage['format']): Promise<MeasuredImage> {
    const before = await recall(path, format);
    if (before !== undefined) return before;
    // Nova sets the times of images in use, which looks as if they had been written to: that is over at once.
    const image = await readNow(path, format).catch((error: unknown) => {
      if (codeOf(error) !== 'busy') throw error;
      return readNow(path, format);
    });
    known.set(nameOf(path, format), image);
    // Without a note the next process reads it again.
    if (directory !== undefined) await writeNote(directory, image).catch(() => undefined);
    return image;
  }

  async function measure(path: string, format: BaseImage['format']): Promise<MeasuredImage> {
    const name = nameOf(path, format);
    const running =
      measuring.get(name) ?? oneByOne(() => measureNow(path, format)).finally(() => measuring.delete(name));
    measuring.set(name, running);
    return running;
  }

  return { measure, recall };
}

async function readNow(path: string, format: BaseImage['format']): Promise<MeasuredImage> {
  const identity = await settled(path);
  return { path, format, ...(await digestOfFile(path, format)), identity };
}

async function identityAt(path: string): Promise<FileIdentity> {
  return identityOf(await stat(path, { bigint: true }));
}

/** The file's identity once it has been left alone for as long as its file system's clock may stand still. */
async function settled(path: string): Promise<FileIdentity> {
  for (;;) {
    const identity = await identityAt(path);
    const changed = BigInt(identity.changed);
    const wait = changed % 1_000_000_000n === 0n ? TICK.coarse : TICK.fine;
    const age = Date.now() - Number(changed / 1_000_000n);
    // A time to come tells nothing: the clock was set.
    if (age > wait || age < 0) return identity;
    await sleep(wait - age + 1);
  }
}

function noteOf(directory: string, path: string, format: string): string {
  const digest = createHash('sha256').update(`${format} ${path}`).digest('hex');
  return join(directory, `${OWN_PREFIX}image-${digest.slice(0, 16)}.json`);
}

const NOTE = new RegExp(`^${OWN_PREFIX}image-[0-9a-f]{16}\\.json(?:\\.new)?$`);

/** Nova removes images that nobody has used for a while, and each host sees many in its life. */
async function removeOldNotes(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!NOTE.test(name)) continue;
    const note = join(directory, name);
    if (await isOfNoFile(note).catch(() => false)) await unlink(note);
  }
}

async function isOfNoFile(note: string): Promise<boolean> {
  const path = textOf(asObject(JSON.parse(await readFile(note, 'utf8')), 'the note'), 'path');
  return access(path).then(
    () => false,
    (error: unknown) => path !== '' && systemCodeOf(error) === 'ENOENT',
  );
}

/** A note that is missing or damaged costs reading the file again. */
async function readNote(
  directory: string,
  path: string,
  format: BaseImage['format'],
): Promise<MeasuredImage | undefined> {
  try {
    const note = asObject(JSON.parse(await readFile(noteOf(directory, path, format), 'utf8')), 'the note');
    const identity = asObject(note['identity'], 'the identity');
    const field = (name: keyof FileIdentity) => textOf(identity, name);
    const isOfIt = textOf(note, 'path') === path && textOf(note, 'format') === format;
    const digest = textOf(note, 'digest');
    if (!isOfIt || !/^[0-9a-f]{64}$/.test(digest)) return undefined;
    return {
      ...{ path, format, digest, size: countOf(note, 'size', 'the note') },
      identity: {
        ...{ device: field('device'), inode: field('inode'), size: field('size') },
        ...{ modified: field('modified'), changed: field('changed') },
      },
    };
  } catch {
    return undefined;
  }
}

async function writeNote(directory: string, image: MeasuredImage): Promise<void> {
  const path = noteOf(directory, image.path, image.format);
  await writeFile(`${path}.new`, JSON.stringify(image), { mode: 0o600 });
  await rename(`${path}.new`, path);
}
