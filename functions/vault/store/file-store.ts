import { constants, type Stats } from 'node:fs';
import { type FileHandle, link, lstat, open, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import pLimit from 'p-limit';
import { EkkoError } from '../errors.ts';
import { clipRange } from './byte-range.ts';
import { checkKey, checkPrefix } from './check-key.ts';
import { listFiles } from './file-listing.ts';
import { type Folders, folderOf, openFolders } from './folders.ts';
import { type Incoming, openIncoming } from './incoming.ts';
import { type ByteRange, NOTHING_KEPT, type ObjectStore } from './object-store.ts';
import { storeFailure, systemCodeOf, tolerate } from './system-errors.ts';

/** Somebody may prune the folder, or clean up the temporary file, between two steps of a create; more often than this is no accident. */
const CREATE_ATTEMPTS = 8;
const REMOVES_AT_ONCE = 16;
/** Objects are bounded at about 70 MiB; a file beyond this is none of ours, and must not make us allocate its size. */
const LARGEST_OBJECT = 1024 ** 3;

/**
 * A store in a directory, on a local file system or NFS; safe against crashes and against any number of writers on any hosts.
 * A key is a path below the directory, which is made by the first create. Nothing else may write there; symbolic links
 * inside it are never followed. Beside the contract, `get` throws `damaged` for a file that is too large to be an object.
 */
export function openFileStore(directory: string): ObjectStore {
  const root = resolve(directory);
  const folders = openFolders(root);
  const incoming = openIncoming(root);
  return {
    url: pathToFileURL(root).href.replace('file://', 'file:'),

    async create(key, body, { durable = true } = {}) {
      const path = join(root, checkKey(key));
      const folder = folderOf(root, key);
      try {
        const outcome = await createFile(path, folder, body, { durable, incoming, folders });
        // Also when it exists: whoever made it may have died before this point.
        if (durable) await folders.flush(folder);
        return outcome;
      } catch (error) {
        throw storeFailure(error, `Cannot write ${path}`);
      }
    },

    async get(key, range) {
      const path = join(root, checkKey(key));
      try {
        await folders.check(folderOf(root, key));
        return await readObject(path, range);
      } catch (error) {
        if (ABSENT.has(systemCodeOf(error) ?? '')) throw missing(path, error);
        throw storeFailure(error, `Cannot read ${path}`);
      }
    },

    async *list(prefix, { after = '' } = {}) {
      const folder = join(root, checkPrefix(prefix));
      try {
        await tolerate(folders.check(folder.replace(/\/$/, '')), 'ENOENT', 'ENOTDIR');
        yield* listFiles(root, prefix, after);
      } catch (error) {
        throw storeFailure(error, `Cannot list ${folder}`);
      }
    },

    async remove(keys) {
      const paths = keys.map((key) => join(root, checkKey(key)));
      const touched = [...new Set(keys.map((key) => folderOf(root, key)))];
      const limit = pLimit(REMOVES_AT_ONCE);
      const results = await Promise.allSettled(paths.map((path, at) => limit(() => removeFile(path, keys[at] ?? ''))));
      await Promise.all(touched.map((folder) => limit(() => folders.prune(folder))));
      const failed = results.find((result) => result.status === 'rejected');
      if (failed) throw failed.reason;
      return NOTHING_KEPT;
    },
  };

  async function removeFile(path: string, key: string): Promise<void> {
    try {
      await folders.check(folderOf(root, key));
      await unlink(path);
    } catch (error) {
      if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes(systemCodeOf(error) ?? '')) return;
      throw storeFailure(error, `Cannot remove ${path}`);
    }
  }
}

interface Creation {
  readonly durable: boolean;
  readonly incoming: Incoming;
  readonly folders: Folders;
}

/** Writes a temporary file and links it to its name: the one step that is atomic and never overwrites, on NFS too. */
async function createFile(path: string, folder: string, body: readonly Uint8Array[], creation: Creation) {
  const { durable, incoming, folders } = creation;
  for (let attempt = 1; ; attempt++) {
    let temporary: string | undefined;
    try {
      temporary = await incoming.write(body, durable);
      await folders.make(folder);
      return await linkOnce(temporary, path);
    } catch (error) {
      if (systemCodeOf(error) !== 'ENOENT' || attempt === CREATE_ATTEMPTS) throw error;
      folders.forget(folder);
    } finally {
      if (temporary !== undefined) await unlink(temporary).catch(() => undefined);
    }
  }
}

async function linkOnce(temporary: string, path: string): Promise<'created' | 'exists'> {
  try {
    await link(temporary, path);
    return 'created';
  } catch (error) {
    // NFS sends a request again when its answer was lost, and then reports the success of the first one as a failure.
    if ((await tolerate(lstat(temporary), 'ENOENT'))?.nlink === 2) return 'created';
    if (systemCodeOf(error) !== 'EEXIST') throw error;
    const found = await tolerate(lstat(path), 'ENOENT');
    if (found === undefined || found.isFile()) return 'exists';
    throw new EkkoError('store-failed', `Cannot write ${path}: ${kindOf(found)} lies there. Move it out of the vault.`);
  }
}

const ABSENT: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

function missing(path: string, cause?: unknown): EkkoError {
  const found = systemCodeOf(cause) === 'ELOOP' ? 'is a symbolic link, which is not followed' : 'is missing';
  return new EkkoError('object-missing', `${path} ${found}.`, { cause });
}

async function readObject(path: string, range: ByteRange | undefined): Promise<Buffer> {
  // Without O_NONBLOCK the open of a pipe would wait for ever.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const found = await file.stat();
    if (!found.isFile()) throw new EkkoError('object-missing', `${path} is ${kindOf(found)}, not an object.`);
    const { start, end } = clipRange(range, found.size);
    if (end - start > LARGEST_OBJECT) {
      throw new EkkoError('damaged', `${path} is ${found.size} bytes long, which no object is. Verify the vault.`);
    }
    return await readSpan(file, start, end - start);
  } finally {
    await file.close();
  }
}

/** `length` bytes from `start`; fewer when the file turns out shorter. */
async function readSpan(file: FileHandle, start: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, start + done);
    if (bytesRead === 0) return Buffer.from(new Uint8Array(bytes.subarray(0, done)).buffer);
    done += bytesRead;
  }
  return bytes;
}

function kindOf(found: Stats): string {
  if (found.isDirectory()) return 'a folder';
  return found.isSymbolicLink() ? 'a symbolic link' : 'something other than a file';
}
