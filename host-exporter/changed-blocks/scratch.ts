import { createHash, randomBytes } from 'node:crypto';
import { readdir, rm, statfs } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { EkkoError } from '#vault/errors.ts';
import { OWN_PREFIX } from './bitmaps.ts';

/** Where QEMU keeps what a guest overwrites during a moment. One directory may serve many guests. */
export interface ScratchArea {
  readonly directory: string;
  /** Unix socket of QEMU's NBD server. */
  readonly nbdSocket: string;
  /** A name for one moment's parts, short enough for QEMU's 31 bytes; `index` counts the disks. */
  moment(): (index: number) => { readonly id: string; readonly file: string };
  /** Removes what is left of this guest. Only when QEMU uses none of it. */
  clear(): Promise<void>;
  /** Bytes free to QEMU. */
  free(): Promise<number>;
}

/** Linux: sun_path without its final zero byte. */
const LONGEST_SOCKET_PATH = 107;

/** The scratch area of the guest behind a monitor socket. Throws `bad-input` for a directory that cannot serve. */
export function openScratch(directory: string, qmpSocket: string): ScratchArea {
  // QEMU's working directory is not ours.
  if (!isAbsolute(directory))
    throw new EkkoError('bad-input', `Scratch directory "${directory}" is not an absolute path`);
  const guest = OWN_PREFIX + createHash('sha256').update(qmpSocket).digest('hex').slice(0, 8);
  const nbdSocket = join(directory, `${guest}.nbd`);
  if (Buffer.byteLength(nbdSocket) > LONGEST_SOCKET_PATH) {
    throw new EkkoError('bad-input', `Scratch directory ${directory} is too long for a socket: choose a shorter path`);
  }

  function moment() {
    const tag = randomBytes(4).toString('hex');
    return (index: number) => ({
      id: `${OWN_PREFIX}${tag}-${index}`,
      file: join(directory, `${guest}-${tag}-${index}.qcow2`),
    });
  }

  async function clear(): Promise<void> {
    for (const name of await readdir(directory)) {
      if (name.startsWith(`${guest}-`) || name === `${guest}.nbd`) await removeFile(join(directory, name));
    }
  }

  return { directory, nbdSocket, moment, clear, free: () => freeBytes(directory) };
}

async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

/** Removes a file; that there is none is fine. */
export function removeFile(path: string): Promise<void> {
  return rm(path, { force: true });
}

/** Calls `onLow` once when `area` has less than `lowWater` bytes free, looking every `everyMs`. The function returned stops it. */
export function watchScratch(area: ScratchArea, lowWater: number, everyMs: number, onLow: (free: number) => void) {
  let stopped = false;
  let timer: NodeJS.Timeout;

  function next(): void {
    if (!stopped) timer = setTimeout(look, everyMs).unref();
  }

  async function look(): Promise<void> {
    // A file system that cannot even say how full it is cannot be relied upon.
    const free = await area.free().catch(() => 0);
    if (stopped) return;
    if (free >= lowWater) return next();
    stopped = true;
    onLow(free);
  }

  next();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
