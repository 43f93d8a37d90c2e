import { EkkoError } from '#vault/errors.ts';
import { memberOf } from '../qemu/json-value.ts';
import type { QmpClient } from '../qemu/qmp-client.ts';
import { removeOwnParts, resumeAfterIoError } from './clean-up.ts';
import type { QemuSettings } from './qemu-settings.ts';
import { type ScratchArea, watchScratch } from './scratch.ts';

export interface ScratchGuard {
  /** Why the moment is no more; undefined while it stands. */
  broken(): EkkoError | undefined;
  /** Stops guarding; resolves when nothing of it is under way any more. */
  stop(): Promise<void>;
}

/**
 * Guards the guest against a full scratch area, which would stop it: when room gets low, or QEMU reports a write without space, the
 * export is given up first, then the guest resumed if it `wasRunning` and stands still over an I/O error.
 */
export function guardScratch(
  qmp: QmpClient,
  area: ScratchArea,
  settings: QemuSettings,
  wasRunning: boolean,
): ScratchGuard {
  let broken: EkkoError | undefined;
  let givingUp: Promise<void> | undefined;
  const { scratchLowWater, scratchLookMs } = settings;

  function giveUp(found: string): void {
    if (broken) return;
    broken = new EkkoError(
      'qemu-failed',
      `The export was given up, so that the guest at ${qmp.socketPath} could go on: scratch directory ${area.directory} ${found}. ` +
        'Give it more room, or run when the guest writes less.',
    );
    // What cannot be removed now is removed by the moment's end, or the next start.
    givingUp = removeAndResume().catch(() => undefined);
  }

  async function removeAndResume(): Promise<void> {
    await removeOwnParts(qmp);
    if (wasRunning) await resumeAfterIoError(qmp);
  }

  const stopWatch = watchScratch(area, scratchLowWater, scratchLookMs, (free) => {
    giveUp(`has only ${free} bytes free (low-water mark ${scratchLowWater})`);
  });
  const stopEvents = qmp.onEvent(({ name, data }) => {
    if (name === 'BLOCK_IO_ERROR' && memberOf(data, 'nospace') === true) giveUp('is full');
  });

  return {
    broken: () => broken,
    stop: async () => {
      stopWatch();
      stopEvents();
      await givingUp;
    },
  };
}
