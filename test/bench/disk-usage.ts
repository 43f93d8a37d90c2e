import { createReadStream, type Dirent } from 'node:fs';
import { lstat, readdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';

/** Sum of the sizes of all files below a folder. */
export async function bytesIn(folder: string): Promise<number> {
  const entries: Dirent[] = await readdir(folder, { recursive: true, withFileTypes: true });
  let sum = 0;
  for (const entry of entries) if (entry.isFile()) sum += (await lstat(join(entry.parentPath, entry.name))).size;
  return sum;
}

/** Reads all files below a folder once: what they hold is in the page cache afterwards, where it finds room. */
export async function warm(folder: string): Promise<void> {
  const entries: Dirent[] = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries) if (entry.isFile()) await readThrough(join(entry.parentPath, entry.name));
}

async function readThrough(path: string): Promise<void> {
  for await (const _ of createReadStream(path, { highWaterMark: 1024 ** 2 })) {
    // Looked at by nobody.
  }
}

/** Throws when the file system of `folder` has less room than `bytes`. */
export async function checkRoom(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const gib = (size: number) => (size / 2 ** 30).toFixed(0);
  if (bavail * bsize >= bytes) return;
  throw new Error(
    `${folder} has ${gib(bavail * bsize)} GiB free, ${gib(bytes)} are needed: make room, choose a smaller --size, or another --folder.`,
  );
}
