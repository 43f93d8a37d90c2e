import { fork } from 'node:child_process';
import { dirname } from 'node:path';
import type { ReaderSettings } from '#vault/restore/open-reader.ts';
import type { RestoreDestination, RestoreRequest, RestoreResult } from '../../../host-exporter/restore/restore-disk.ts';
import type { RestoreProgress } from '../../../host-exporter/restore/restore-ledger.ts';

/** Reader settings that can be sent to another process: keys as bytes. */
export interface PortableSettings {
  readonly url: string;
  readonly epochs: readonly { vault: string; epoch: number; idKey: Buffer; sealKey: Buffer; journalKey: Buffer }[];
}

/** What the child is sent. */
export type ChildRequest = Omit<RestoreRequest, 'reader'> & { readonly settings: PortableSettings };

function portable({ url, epochs }: ReaderSettings): PortableSettings {
  return {
    url,
    epochs: epochs.map(({ vault, epoch, idKey, sealKey, journalKey }) => ({
      vault,
      epoch,
      idKey: idKey.export(),
      sealKey: sealKey.export(),
      journalKey: journalKey.export(),
    })),
  };
}

/** A disk in a vault. */
export interface ChildDisk {
  readonly manifest: string;
  readonly settings: ReaderSettings;
}

/** A restore in a child process. */
export interface Child {
  /** Rejects with what the restore threw, or when the process was killed. */
  readonly ended: Promise<{ readonly result: RestoreResult; readonly rss: number }>;
  kill(): void;
  onProgress: (progress: RestoreProgress) => void;
}

/** Restores `disk` durably in two threads of a child process. */
export function restoreInChild(disk: ChildDisk, target: RestoreDestination, resume: boolean): Child {
  const child = fork(new URL('./restore-in-child.ts', import.meta.url), {
    serialization: 'advanced',
    stdio: 'pipe',
    // What it leaves behind is then seen beside the target.
    env: { ...process.env, TMPDIR: dirname(target.path) },
  });
  const { settings, manifest } = disk;
  const rest = { point: '20261120-191503-7c1e9a', disk: 'root', threads: undefined, bestEffort: false, durable: true };
  // Keys cannot be sent to another process as they are.
  child.send({ manifest, target, resume, ...rest, settings: portable(settings) } satisfies ChildRequest);
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  const controls = { kill: () => child.kill('SIGKILL'), onProgress: (_: RestoreProgress) => {} };
  const ended = new Promise<{ result: RestoreResult; rss: number }>((resolve, reject) => {
    child.on('message', (message: { progress?: RestoreProgress; result?: RestoreResult; rss?: number }) => {
      if (message.progress) controls.onProgress(message.progress);
      if (message.result) resolve({ result: message.result, rss: message.rss ?? Number.NaN });
    });
    child.on('exit', (code, signal) => reject(new Error(`ended with ${code ?? signal}: ${said}`)));
  });
  return Object.assign(controls, { ended });
}
