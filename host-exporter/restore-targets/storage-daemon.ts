import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf } from '#vault/errors.ts';
import { openNbd } from '../qemu/nbd-client.ts';
import { refuseTarget, targetFailure } from './target-failure.ts';

/** A qemu-storage-daemon of ours that serves one image. */
export interface StorageDaemon {
  readonly socketPath: string;
  readonly exportName: string;
  /** Ends it: caches are written, the image is closed. Throws `target-failed` when it did not end well. Idempotent. */
  stop(): Promise<void>;
}

const SOCKET = 'nbd.sock';
/**
 * Ends the daemon, by its own id, when our end of the pipe closes, and clears its folder away: also when we are killed, since an orphan
 * would keep the image locked.
 */
const LEASH = `exec 3<&0
folder=$1; shift
qemu-storage-daemon "$@" </dev/null 3<&- & daemon=$!
(read -r _ <&3; kill -TERM "$daemon") & leash=$!
wait "$daemon"; code=$?
kill "$leash" 2>/dev/null
rm -f "$folder/${SOCKET}"; rmdir "$folder"
exit "$code"`;
const START_MS = 15_000;
const EXPORT = 'target';
/** How the daemon says that a predecessor has not let go of the image yet. */
const LOCKED = /lock/i;

/**
 * Serves the qcow2 image at the absolute `path`, writable, on a socket in a private folder. Waits a while for an image that is
 * still locked by the daemon of a restore that was cut off. Throws `target-failed` with the daemon's own words.
 */
export async function startStorageDaemon(path: string): Promise<StorageDaemon> {
  const until = Date.now() + START_MS;
  for (;;) {
    // A private folder (0700): the socket gives away, and takes, the disk's content.
    const folder = await mkdtemp(join(tmpdir(), 'ekko-target-'));
    const daemon = launch(path, folder);
    try {
      await connected(daemon, until);
      return { socketPath: daemon.socketPath, exportName: EXPORT, stop: () => stop(daemon) };
    } catch (cause) {
      await stop(daemon).catch(() => undefined);
      if (!LOCKED.test(daemon.said()) || Date.now() > until) throw targetFailure(path, 'serve', daemon.said() || cause);
    }
    await delay(200);
  }
}

interface Launched {
  readonly path: string;
  readonly socketPath: string;
  readonly child: ChildProcess;
  /** Resolves to the exit code. */
  readonly ended: Promise<number | null>;
  said(): string;
}

function launch(path: string, folder: string): Launched {
  const socketPath = join(folder, SOCKET);
  const child = spawn('/bin/sh', ['-c', LEASH, 'sh', folder, ...daemonArguments(path, socketPath)], {
    stdio: ['pipe', 'ignore', 'pipe'],
    // A Ctrl-C at the terminal is ours to handle: the daemon must outlive the last write.
    detached: true,
  });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2000);
  });
  child.stdin?.on('error', () => undefined);
  const ended = new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      said += error.message;
      resolve(null);
    });
    child.once('close', resolve);
  });
  return { path, socketPath, child, ended, said: () => said.replace(/^qemu-storage-daemon: /, '') };
}

function daemonArguments(filename: string, path: string): string[] {
  const file = { driver: 'file', 'node-name': 'file', filename, discard: 'unmap' };
  const image = { driver: 'qcow2', 'node-name': 'image', file: 'file', discard: 'unmap' };
  const server = { addr: { type: 'unix', path }, 'max-connections': 0 };
  const target = { type: 'nbd', id: EXPORT, 'node-name': 'image', name: EXPORT, writable: true };
  const blockdevs = [file, image].flatMap((node) => ['--blockdev', JSON.stringify(node)]);
  return [...blockdevs, '--nbd-server', JSON.stringify(server), '--export', JSON.stringify(target)];
}

/** Resolves when the daemon serves; throws when it ended, or time is up. */
async function connected({ socketPath, ended }: Launched, until: number): Promise<void> {
  const gone = ended.then((code) => {
    throw new Error(`qemu-storage-daemon ended with code ${code}`);
  });
  gone.catch(() => undefined);
  for (;;) {
    try {
      const client = await Promise.race([openNbd({ socketPath, exportName: EXPORT }), gone]);
      return await client.close();
    } catch (error) {
      if (codeOf(error) !== 'qemu-failed' || Date.now() > until) throw error;
    }
    await delay(20);
  }
}

async function stop(daemon: Launched): Promise<void> {
  daemon.child.stdin?.end();
  const code = await daemon.ended;
  if (code === 0) return;
  throw refuseTarget(
    daemon.path,
    `was not closed well by qemu-storage-daemon (code ${code}): ${daemon.said().trim()}`,
    'Make room if it is full, check it with qemu-img check, then resume the restore.',
  );
}
