import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import pRetry from 'p-retry';
import { codeOf, EkkoError } from '#vault/errors.ts';
import type { ActingCaller } from '../acting-caller.ts';
import type { Images } from '../cloud/images.ts';
import type { ImageSource } from './disk-image-source.ts';
import { FINISHED, UNFINISHED } from './plan-disk.ts';
import { Lost } from './restore-changes.ts';
import { gibOf, type RestoredDisk } from './restore-record.ts';

/** One disk that becomes an image. */
export interface DiskCopy {
  readonly disk: RestoredDisk;
  readonly images: Images;
  /** Whose token is used. */
  readonly acting: ActingCaller;
  readonly open: () => Promise<ImageSource>;
  /** Writes down how the disk is. Throws `Lost`, and what the registry throws. */
  readonly note: (change: Partial<RestoredDisk>) => Promise<void>;
  readonly progress: (bytesDone: number) => void;
  readonly signal: AbortSignal;
}

/** How often a disk is begun at most, by whichever processes. */
const MOST_ATTEMPTS = 5;
const PAUSE_MS = 2000;
/** Each after twice the pause of the one before: a minute in all. */
const NOTE_RETRIES = 5;
/** What may have passed the next time. */
const PASSING: ReadonlySet<string> = new Set(['cloud-failed', 'store-failed']);

/**
 * Makes the image of a disk, and shows it once it is known to be whole; one that is not is removed. A disk that cannot be restored is noted
 * as failed, with the reason. Throws `token-refused`, for then a later caller can go on, the signal's reason, and what noting throws.
 */
export async function copyDisk(copy: DiskCopy): Promise<void> {
  let { image: before, attempts } = copy.disk;
  for (;;) {
    if (before !== undefined) await removeQuietly(copy, before);
    const image = randomUUID();
    attempts++;
    // Written down before it is made: whoever comes after a death knows what to remove.
    await copy.note({ state: 'copying', image, attempts, bytesDone: 0 });
    const made = await makeImage(copy, image).catch((error: unknown) => ({ error }));
    if (!('error' in made)) return noteComplete(copy, image, made.length);
    await removeQuietly(copy, image);
    copy.signal.throwIfAborted();
    const { error } = made;
    const code = codeOf(error);
    if (code === undefined || !(error instanceof Error)) throw error;
    if (attempts >= MOST_ATTEMPTS || (code !== 'token-refused' && !PASSING.has(code)))
      return copy.note({ state: 'failed', bytesDone: 0, problem: error.message.slice(0, 1000) });
    if (code === 'token-refused') throw error;
    before = undefined;
    await pause(PAUSE_MS * attempts, undefined, { signal: copy.signal });
  }
}

/** A registry that fails costs no image that is whole: its record names it. One that is another process's by now does not. */
async function noteComplete({ note, signal, ...copy }: DiskCopy, image: string, length: number): Promise<void> {
  let noted = false;
  const write = async () => {
    await note({ state: 'complete', bytesTotal: length, bytesDone: length });
    noted = true;
  };
  const shouldRetry = ({ error }: { error: Error }) => codeOf(error) === 'store-failed';
  try {
    await pRetry(write, { retries: NOTE_RETRIES, minTimeout: PAUSE_MS, signal, shouldRetry });
  } catch (error) {
    if (noted) return;
    if (error instanceof Lost) await removeQuietly(copy, image);
    throw error;
  }
}

async function makeImage(copy: DiskCopy, image: string): Promise<ImageSource> {
  const { images, acting, disk } = copy;
  const source = await copy.open();
  await copy.note({ bytesTotal: source.length });
  const { imageName: name, properties } = disk;
  const wanted = { id: image, name, minDisk: gibOf(disk.size), properties: { ...properties, ...UNFINISHED } };
  await acting.act((caller) => images.create(caller, wanted));
  const sha512 = await sendImage(copy, image, source);
  await checkImage(copy, image, source.length, sha512);
  await acting.act((caller) => images.publish(caller, image, FINISHED));
  return source;
}

/** Gives back the digest of what was sent. Not tried again: nobody knows what Glance thinks of an image whose content it has refused. */
async function sendImage({ images, acting, progress, signal }: DiskCopy, image: string, source: ImageSource) {
  const sum = createHash('sha512');
  const content = counted(source.content(signal), sum, progress);
  const caller = acting.current();
  try {
    await images.send(caller, image, { length: source.length, content, signal });
  } catch (error) {
    if (codeOf(error) === 'token-refused') acting.refuse(caller.token);
    throw error;
  }
  return sum.digest('hex');
}

async function* counted(
  content: AsyncGenerator<Uint8Array>,
  sum: { update(piece: Uint8Array): unknown },
  progress: (bytesDone: number) => void,
): AsyncGenerator<Uint8Array> {
  let sent = 0;
  for await (const piece of content) {
    sum.update(piece);
    yield piece;
    sent += piece.length;
    progress(sent);
  }
}

/** An image service whose line broke may take what it has for the whole. */
async function checkImage({ images, acting }: DiskCopy, id: string, length: number, sha512: string): Promise<void> {
  const found = await acting.act((caller) => images.find(caller, id));
  if (found === undefined)
    throw new EkkoError('target-failed', `Image ${id} is gone: somebody has deleted it while it was made.`);
  if (found.status !== 'active' || found.size !== length)
    throw new EkkoError(
      'cloud-failed',
      `Glance has image ${id} as ${found.status} with ${found.size ?? 0} bytes, and was sent ${length}.`,
    );
  if (found.sha512 !== undefined && found.sha512 !== sha512)
    throw new EkkoError(
      'cloud-failed',
      `Glance has other bytes in image ${id} than it was sent: their SHA-512 differs.`,
    );
}

/** What cannot be removed stays hidden, and says that it is unfinished. */
async function removeQuietly({ images, acting }: Pick<DiskCopy, 'images' | 'acting'>, image: string): Promise<void> {
  try {
    await acting.act((caller) => images.remove(caller, image));
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
  }
}
