import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type FileIdentity, identityOf } from './file-identity.ts';

/** A line of /proc/net/unix: of a socket that listens, its inode and its path (proc(5)). */
const LISTENING = /^\S+: \S+ \S+ 00010000 \S+ \S+ +(\d+) (.+)$/;

/** The files that a process had open when they were looked for. */
export interface OpenedFiles {
  /** This very one, whatever its times: then what lies at the file's path is what that process reads. */
  has(file: FileIdentity): boolean;
}

/**
 * Those of the process that listens at a unix socket; none where that cannot be seen. Looks at every file that any process has open: ask once for
 * several files.
 */
export async function openedFiles(socketPath: string): Promise<OpenedFiles> {
  const listening = await socketsAt(socketPath);
  const found = new Set<string>();
  for (const process of listening.size === 0 ? [] : await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(process)) continue;
    const open = await openFiles(process);
    if (open.some(({ target }) => listening.has(target))) for (const name of await namesOf(open)) found.add(name);
  }
  return { has: (file) => found.has(nameOf(file)) };
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

async function namesOf(open: readonly OpenFile[]): Promise<readonly string[]> {
  const paths = open.filter(({ target }) => target.startsWith('/'));
  const names = paths.map(async ({ link }) => {
    const found = await stat(link, { bigint: true }).catch(() => undefined);
    return found === undefined ? [] : [nameOf(identityOf(found))];
  });
  return (await Promise.all(names)).flat();
}

function nameOf({ device, inode }: FileIdentity): string {
  return `${device} ${inode}`;
}
