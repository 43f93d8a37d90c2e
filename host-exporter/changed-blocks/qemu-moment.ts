import type { MomentRequest } from '#vault/staging/changed-block-source.ts';
import type { NbdClient } from '../qemu/nbd-client.ts';
import { isQemuGone, type QmpClient } from '../qemu/qmp-client.ts';
import { removeBitmaps } from './bitmaps.ts';
import { removeOwnParts, resumeAfterIoError } from './clean-up.ts';
import { type ExportedDisk, planExported } from './exported-plans.ts';
import { CHANGES_CONTEXT, type FleecedDisk, findStanding } from './fleecing.ts';
import { createHeldMoment, type EndableMoment, type Outcome } from './held-moment.ts';
import type { MeasuredImages } from './measured-images.ts';
import type { QemuSettings } from './qemu-settings.ts';
import type { Quiesced } from './quiesce.ts';
import type { ScratchArea } from './scratch.ts';
import { guardScratch } from './scratch-guard.ts';
import { toSourceDisk } from './select-disks.ts';

/** What the parts of one guest's source hold together. */
export interface GuestContext {
  readonly settings: QemuSettings;
  readonly area: ScratchArea;
  readonly images: MeasuredImages;
  /** The monitor, connected anew when the connection was lost. */
  monitor(): Promise<QmpClient>;
}

/** A moment that QEMU has begun and exports. */
export interface TakenMoment {
  readonly request: MomentRequest;
  readonly fleeced: readonly FleecedDisk[];
  /** Name of the run's own bitmap. */
  readonly bitmap: string;
  readonly wasRunning: boolean;
  readonly quiesced: Quiesced<Date>;
}

/** Plans the moment's reads and guards it until its end. When that fails nothing is left open but what QEMU holds. */
export async function openMoment(guest: GuestContext, qmp: QmpClient, taken: TakenMoment): Promise<EndableMoment> {
  const guard = guardScratch(qmp, guest.area, guest.settings, taken.wasRunning);
  const clients: NbdClient[] = [];
  const place = { socketPath: guest.area.nbdSocket, dirtyContext: CHANGES_CONTEXT };
  try {
    const standing = await findStanding(qmp, taken.fleeced);
    const disks = taken.fleeced.map((one) => exportedDisk(one, standing.has(one)));
    const plans = await planExported(disks, place, taken.request, guest.settings, clients);
    return createHeldMoment({
      ...{ plans, clients, quiesced: taken.quiesced, broken: guard.broken },
      explain: async (error) => guard.broken() ?? error,
      finish: async (outcome) => {
        await guard.stop();
        await finish(guest, taken, clients, outcome);
      },
    });
  } catch (error) {
    await guard.stop();
    await Promise.all(clients.map((client) => client.close()));
    throw guard.broken() ?? error;
  }
}

function exportedDisk({ disk, parent, image, id: exportName }: FleecedDisk, stands: boolean): ExportedDisk {
  const usable = image !== undefined && stands;
  return { disk: toSourceDisk(disk), parent, exportName, ...(usable ? { image: { base: image, exportName } } : {}) };
}

async function finish(guest: GuestContext, taken: TakenMoment, clients: readonly NbdClient[], outcome: Outcome) {
  try {
    await unlessGone(guest, async (qmp) => {
      await removeOwnParts(qmp);
      if (taken.wasRunning) await resumeAfterIoError(qmp);
      await settleBitmaps(qmp, taken, outcome);
    });
  } finally {
    // After the exports: QEMU rather ends connections itself.
    await Promise.all(clients.map((client) => client.close()));
  }
  await guest.area.clear();
}

async function settleBitmaps(qmp: QmpClient, taken: TakenMoment, outcome: Outcome): Promise<void> {
  const nodes = new Set(taken.fleeced.map(({ disk }) => disk.node));
  if (outcome === 'committed') await removeBitmaps(qmp, nodes, (name) => name !== taken.bitmap);
  if (outcome === 'abandoned') await removeBitmaps(qmp, nodes, (name) => name === taken.bitmap);
}

/** Does `work`; a QEMU that is gone has nothing left to tidy. */
async function unlessGone(guest: GuestContext, work: (qmp: QmpClient) => Promise<void>): Promise<void> {
  try {
    await work(await guest.monitor());
  } catch (error) {
    const now: unknown = await guest.monitor().catch((cause: unknown) => cause);
    if (!isQemuGone(now)) throw error;
  }
}
