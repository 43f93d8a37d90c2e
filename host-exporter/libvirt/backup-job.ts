import { setTimeout as sleep } from 'node:timers/promises';
import { EkkoError } from '#vault/errors.ts';
import { type DomainPlace, forgetCheckpoints } from './checkpoints.ts';

/** Whose operation a guest is in the middle of. */
export type RunningJob = 'none' | 'ours' | 'foreign';

/** Whether a backup of ours runs: one that is exported at `socket`. */
export async function runningJob({ virsh, uuid }: DomainPlace, socket: string): Promise<RunningJob> {
  const info = await virsh.run(['domjobinfo', uuid]);
  if (/^Job type:\s+None/m.test(info) || info.trim() === '') return 'none';
  if (!/^Operation:\s+Backup/m.test(info)) return 'foreign';
  const document = await virsh.run(['backup-dumpxml', uuid]).catch(() => '');
  return document.includes(`socket='${socket}'`) ? 'ours' : 'foreign';
}

const POLL_MS = 20;
const LONGEST_END_MS = 30_000;

/** Ends a backup of ours, and waits until it has ended. libvirt removes its scratch files. Throws `qemu-failed`. */
export async function abortJob(place: DomainPlace, socket: string): Promise<void> {
  const { virsh, uuid } = place;
  await virsh.run(['domjobabort', uuid]).catch(async (error: unknown) => {
    // It may have ended meanwhile.
    if ((await runningJob(place, socket)) === 'ours') throw error;
  });
  for (const end = Date.now() + LONGEST_END_MS; (await runningJob(place, socket)) === 'ours'; await sleep(POLL_MS)) {
    if (Date.now() > end)
      throw new EkkoError('qemu-failed', `The backup of ${uuid} does not end. See virsh domjobinfo.`);
  }
}

/** Lets libvirt forget our checkpoints and, whatever comes of that, ends a backup of ours. Resolves to whether there was one. */
export async function endBackup(place: DomainPlace, socket: string): Promise<boolean> {
  let wasRunning = false;
  try {
    await forgetCheckpoints(place);
  } finally {
    wasRunning = (await runningJob(place, socket)) === 'ours';
    if (wasRunning) await abortJob(place, socket);
  }
  return wasRunning;
}

/** The guest's state as libvirt words it, e.g. `running (booted)`, `paused (I/O error)`, `shut off (shutdown)`. */
export async function domainState({ virsh, uuid }: DomainPlace): Promise<string> {
  return (await virsh.run(['domstate', uuid, '--reason'])).trim();
}

/** Lets a guest go on that stands still over an I/O error: the write that failed is tried again. */
export async function resumeStopped(place: DomainPlace): Promise<void> {
  if (/^paused \(I\/O error\)/.test(await domainState(place))) await place.virsh.run(['resume', place.uuid]);
}
