import { EkkoError } from '#vault/errors.ts';
import { type ScratchArea, watchScratch } from '../changed-blocks/scratch.ts';
import { abortJob, domainState, resumeStopped, runningJob } from './backup-job.ts';
import type { DomainPlace } from './checkpoints.ts';
import type { LibvirtSettings } from './libvirt-settings.ts';

export interface JobGuard {
  /** Why the moment is no more; undefined while that is not known. */
  broken(): EkkoError | undefined;
  /** Looks whether a read failed because the backup was ended from outside; resolves to what is to be told. */
  explain(error: unknown): Promise<unknown>;
  /** Stops guarding; resolves when nothing of it is under way any more. */
  stop(): Promise<void>;
}

/**
 * Guards the guest against a full scratch area, which would stop it: when room gets low the backup is given up first, then the guest
 * resumed if it `wasRunning` and stands still over an I/O error.
 */
export function guardJob(
  place: DomainPlace,
  area: ScratchArea,
  settings: LibvirtSettings,
  wasRunning: boolean,
): JobGuard {
  let broken: EkkoError | undefined;
  let givingUp: Promise<void> | undefined;
  const { scratchLowWater, scratchLookMs } = settings;

  async function abortAndResume(): Promise<void> {
    await abortJob(place, area.nbdSocket);
    if (wasRunning) await resumeStopped(place);
  }

  const stopWatch = watchScratch(area, scratchLowWater, scratchLookMs, (free) => {
    broken ??= new EkkoError(
      'qemu-failed',
      `The export was given up, so that server ${place.uuid} could go on: scratch directory ${area.directory} has only ${free} bytes free ` +
        `(low-water mark ${scratchLowWater}). Give it more room, or run when the server writes less.`,
    );
    // What cannot be removed now is removed by the moment's end, or the next start.
    givingUp = abortAndResume().catch(() => undefined);
  });

  async function explain(error: unknown): Promise<unknown> {
    if (broken) return broken;
    const job = await runningJob(place, area.nbdSocket).catch(() => 'none');
    if (job === 'ours') return error;
    const state = await domainState(place).catch(() => 'gone');
    broken ??= new EkkoError(
      'qemu-failed',
      `The backup of server ${place.uuid} was ended from outside (the server is ${state}): a stop, a hard reboot, a migration or a snapshot ` +
        'of the server does that. No change is lost: run it again.',
      { cause: error },
    );
    return broken;
  }

  return {
    broken: () => broken,
    explain,
    stop: async () => {
      stopWatch();
      await givingUp;
    },
  };
}
