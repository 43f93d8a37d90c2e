import { EkkoError } from '#vault/errors.ts';
import { type ExportedDisk, planExported } from '../changed-blocks/exported-plans.ts';
import { createHeldMoment, type EndableMoment, type Outcome } from '../changed-blocks/held-moment.ts';
import type { Quiesced } from '../changed-blocks/quiesce.ts';
import type { NbdClient } from '../qemu/nbd-client.ts';
import { isQemuGone } from '../qemu/qmp-client.ts';
import { CHANGES_BITMAP, type MomentDisk } from './backup-documents.ts';
import { abortJob, resumeStopped, runningJob } from './backup-job.ts';
import { type DomainPlace, removeBitmaps } from './checkpoints.ts';
import { withDepths } from './depth-exports.ts';
import { toSourceDisk } from './domain-disks.ts';
import { guardJob } from './job-guard.ts';
import type { DomainContext, Preparation } from './prepared-moment.ts';

/** A moment that QEMU has begun and exports. */
export interface BegunMoment extends Preparation {
  readonly quiesced: Quiesced<Date>;
}

/** Plans the moment's reads and guards it until its end. When that fails nothing is left open but what QEMU holds. */
export async function openLibvirtMoment(context: DomainContext, begun: BegunMoment): Promise<EndableMoment> {
  const { place, area, settings } = context;
  const guard = guardJob(place, area, settings, begun.wasRunning);
  const clients: NbdClient[] = [];
  const where = { socketPath: area.nbdSocket, dirtyContext: `qemu:dirty-bitmap:${CHANGES_BITMAP}` };
  try {
    await checkStillRuns(context);
    const plans = await withDepths(place, begun.disks, (depths) => {
      const disks = begun.disks.map((disk) => exportedDisk(disk, depths.get(disk.disk.device)));
      return planExported(disks, where, begun.request, settings, clients);
    });
    return createHeldMoment({
      ...{ plans, clients, quiesced: begun.quiesced, broken: guard.broken, explain: guard.explain },
      finish: async (outcome) => {
        await guard.stop();
        await finish(context, begun, clients, outcome);
      },
    });
  } catch (error) {
    await guard.stop();
    await Promise.all(clients.map((client) => client.close()));
    throw await guard.explain(error);
  }
}

/** Nobody connects to what has ended: QEMU (seen with Debian's 7.2+dfsg-7) hangs for good, guest and all, when clients come while its NBD server stops. */
async function checkStillRuns({ place, area }: DomainContext): Promise<void> {
  if ((await runningJob(place, area.nbdSocket)) === 'ours') return;
  throw new EkkoError('qemu-failed', `The backup of server ${place.uuid} has ended before it was read.`);
}

function exportedDisk({ disk, parent, image }: MomentDisk, depths: string | undefined): ExportedDisk {
  const usable = image !== undefined && depths !== undefined;
  return {
    ...{ disk: toSourceDisk(disk), parent, exportName: disk.device },
    ...(usable ? { image: { base: image, exportName: depths } } : {}),
  };
}

/** A guest that is gone has nothing left to tidy: its bitmaps lie in its images, and the next moment judges them. */
async function finish(
  { place, area }: DomainContext,
  { bitmap, disks, wasRunning }: BegunMoment,
  clients: readonly NbdClient[],
  outcome: Outcome,
): Promise<void> {
  try {
    if ((await runningJob(place, area.nbdSocket)) === 'ours') await abortJob(place, area.nbdSocket);
    if (wasRunning) await resumeStopped(place);
    const names = disks.map(({ disk }) => disk.name);
    await settleBitmaps(place, names, bitmap, outcome);
  } catch (error) {
    if (!isQemuGone(error)) throw error;
  } finally {
    // After the exports: QEMU rather ends connections itself.
    await Promise.all(clients.map((client) => client.close()));
  }
  await area.clear();
}

/** `committed`: the run's own bitmap stays, and no other of ours. `abandoned`: it goes; the older one has recorded on. */
export async function settleBitmaps(
  place: DomainPlace,
  names: readonly string[],
  bitmap: string,
  outcome: Outcome,
): Promise<void> {
  if (outcome === 'committed') await removeBitmaps(place, names, (name) => name !== bitmap);
  if (outcome === 'abandoned') await removeBitmaps(place, names, (name) => name === bitmap);
}
