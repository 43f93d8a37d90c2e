import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type FileIdentity, identityOf } from './file-identity.ts';

/** A line of /proc/net/unix: of a socket that listens, its inode and its path (proc(5)). */
const LISTENING = /^\S+: \S+ \S+ 00010000 \S+ \S+ +(\d+) (.+)$/;

/**
 * True when the process that listens at a unix socket has this very file open: then what lies at the file's path is what that process reads.
 * False where that cannot be seen.
 */
export async function hasOpened(socketPath: string, file: FileIdentity): Promise<boolean> {
  const listening = await socketsAt(socketPath);
  if (listening.size === 0) return false;
  for (const process of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(process)) continue;
    const open = await openFiles(process);
    if (open.some(({ target }) => listening.has(target)) && (await holds(open, file))) return true;
  }
  return false;
}

async function socketsAt(path: string): Promise<ReadonlySet<string>> {
  const lines = (await readFile('/proc/net/unix', 'utf8').catch(() => '')).split('\n');
  const found = lines.map((line) => LISTENING.exec(line)).filter((match) => match?.[2] === path);
  return new Set(found.map((match) => `socket:[${match?.[1]}]`));
}

interface OpenFile {
  readonly link: string;
  readonly target: string;
}

/** Of a process that is gone, or another user's: none. */
async function openFiles(process: string): Promise<readonly OpenFile[]> {
  const folder = `/proc/${process}/fd`;
  const links = await readdir(folder).catch(() => []);
  return Promise.all(
    links.map(async (name) => {
      const link = join(folder, name);
      return { link, target: await readlink(link).catch(() => '') };
    }),
  );
}

async function holds(open: readonly OpenFile[], { device, inode }: FileIdentity): Promise<boolean> {
  for (const { link, target } of open) {
    if (!target.startsWith('/')) continue;
    const found = await stat(link, { bigint: true }).catch(() => undefined);
    if (found && identityOf(found).device === device && identityOf(found).inode === inode) return true;
  }
  return false;
}
