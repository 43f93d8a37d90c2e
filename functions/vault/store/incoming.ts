import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { writeNewFileDirectly } from './direct-file.ts';
import { systemCodeOf, tolerate } from './system-errors.ts';

/** Where objects are written before they get their name. No key begins with a dot, so none can lie in here. */
export const INCOMING = '.incoming';
const ONE_DAY = 86_400_000;

/** Writes temporary files; the caller gives them their final name and removes them. */
export interface Incoming {
  /** Writes all pieces to a new file and returns its path; `durable` flushes its bytes. A failed write leaves no file. Throws the system's error. */
  write(body: readonly Uint8Array[], durable: boolean): Promise<string>;
}

/** The temporary files of a vault's directory. The folder is made, and left-overs of dead writers removed, by the first write. */
export function openIncoming(root: string): Incoming {
  const writer = `${thisProcess()}-${randomBytes(6).toString('hex')}`;
  let written = 0;
  let ready: Promise<void> | undefined;
  return {
    async write(body, durable) {
      ready ??= prepare(root);
      const path = join(root, INCOMING, `${writer}-${written++}`);
      try {
        await ready;
        await writeNewFile(path, body, durable);
      } catch (error) {
        ready = undefined;
        throw error;
      }
      return path;
    },
  };
}

export interface Leftovers {
  readonly files: number;
  readonly bytes: number;
}

/**
 * Removes temporary files that crashed writers left in a vault's directory, and says how many. Files of a process of this machine
 * go when that process is gone, all others (another machine, an earlier boot) when they are older than `olderThan` milliseconds.
 * A live writer that loses its file by a wrong clock writes it again.
 */
export async function removeLeftovers(directory: string, olderThan: number): Promise<Leftovers> {
  const folder = join(directory, INCOMING);
  const names = (await tolerate(readdir(folder), 'ENOENT', 'ENOTDIR')) ?? [];
  let files = 0;
  let bytes = 0;
  for (const name of names) {
    const size = await removeLeftover(join(folder, name), name, Date.now() - olderThan);
    if (size === undefined) continue;
    files++;
    bytes += size;
  }
  return { files, bytes };
}

async function prepare(root: string): Promise<void> {
  await mkdir(join(root, INCOMING), { recursive: true });
  await removeLeftovers(root, ONE_DAY);
}

/** What is flushed at once anyway need not be copied into the page cache first; for little it is not worth the round trips. */
const WORTH_DIRECT = 1024 ** 2;

async function writeNewFile(path: string, body: readonly Uint8Array[], durable: boolean): Promise<void> {
  const size = body.reduce((sum, piece) => sum + piece.length, 0);
  try {
    if (durable && size >= WORTH_DIRECT && (await writeNewFileDirectly(path, body))) return;
    const file = await open(path, 'wx');
    try {
      await writePieces(file, body);
      if (durable) await file.datasync();
    } finally {
      // NFS reports a full disk here, so the object must not get its name before.
      await file.close();
    }
  } catch (error) {
    await unlink(path).catch(() => undefined);
    throw error;
  }
}

async function writePieces(file: FileHandle, body: readonly Uint8Array[]): Promise<void> {
  let rest = body.filter((piece) => piece.length > 0);
  while (rest.length > 0) {
    const { bytesWritten } = await file.writev(rest);
    rest = without(bytesWritten, rest);
  }
}

/** What is left of `pieces` after their first `length` bytes. */
function without(length: number, pieces: readonly Uint8Array[]): Uint8Array[] {
  let done = 0;
  let first = 0;
  for (const piece of pieces) {
    if (done + piece.length > length) break;
    done += piece.length;
    first++;
  }
  const [cut, ...whole] = pieces.slice(first);
  return cut === undefined ? [] : [cut.subarray(length - done), ...whole];
}

/** The size of the file if it was a left-over and is gone now. */
async function removeLeftover(path: string, name: string, before: number): Promise<number | undefined> {
  try {
    const { size, mtimeMs } = await lstat(path);
    if (!(writerIsGone(name) ?? mtimeMs < before)) return undefined;
    await unlink(path);
    return size;
  } catch (error) {
    // Somebody else removed it, or it is not ours to remove: neither may keep a backup from being written.
    if (systemCodeOf(error) !== undefined) return undefined;
    throw error;
  }
}

/** Whether the process that made the temporary file has ended; undefined where that cannot be known from here. */
function writerIsGone(name: string): boolean | undefined {
  const [place, pid, started] = name.split('-');
  if (place !== thisPlace() || pid === undefined || started === undefined) return undefined;
  return startOf(pid) !== started;
}

/** `<place>-<process id>-<start time>`: a process id alone is used again. */
function thisProcess(): string {
  return `${thisPlace()}-${process.pid}-${startOf(String(process.pid)) ?? ''}`;
}

/** One boot of one machine as seen from one process id namespace (containers share the other two). Unknown: a place of its own. */
function thisPlace(): string {
  place ??= createHash('sha256').update(placeText()).digest('hex').slice(0, 12);
  return place;
}
let place: string | undefined;

function placeText(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
    return `${hostname()}\n${boot}\n${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return randomBytes(16).toString('hex');
  }
}

/** When a process began, in ticks since boot (proc(5), field 22 of `stat`); undefined when there is none. */
function startOf(pid: string): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the program's name in brackets and may hold anything, so count from behind it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
