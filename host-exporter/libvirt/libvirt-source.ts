import { EkkoError } from '#vault/errors.ts';
import type { BaseImage, ChangedBlockSource, MomentRequest, SourceDisk } from '#vault/staging/changed-block-source.ts';
import { bitmapName, chooseParent, hasOwnBitmap, type Parent } from '../changed-blocks/bitmaps.ts';
import type { EndableMoment } from '../changed-blocks/held-moment.ts';
import { chooseImage, measureBases } from '../changed-blocks/image-base.ts';
import { isReadByQemu } from '../changed-blocks/image-lock.ts';
import type { MeasuredImages } from '../changed-blocks/measured-images.ts';
import { openScratch, type ScratchArea } from '../changed-blocks/scratch.ts';
import { domainState, runningJob } from './backup-job.ts';
import { type DomainPlace, removeBitmaps } from './checkpoints.ts';
import { cleanUpDomain } from './clean-up-domain.ts';
import { findDisks, type ProtectedDisk, refuseThreads, toSourceDisk } from './domain-disks.ts';
import { settleBitmaps } from './libvirt-moment.ts';
import { completeLibvirtSettings, type LibvirtSourceOptions } from './libvirt-settings.ts';
import {
  createPreparedMoment,
  type DomainContext,
  type Preparation,
  type PreparedMoment,
  prepareQuiesce,
  whyNot,
} from './prepared-moment.ts';
import { openVirsh } from './virsh.ts';

/** Also in steps, for a group over several hosts. One moment at a time. */
export interface LibvirtSource extends ChangedBlockSource {
  /** Cleans up as `take` does, and finds out all that can be known without an effect on the guest. Throws `busy`, `qemu-failed`, `disk-unknown`. */
  prepare(request: MomentRequest): Promise<PreparedMoment>;
  take(request: MomentRequest): Promise<EndableMoment>;
  /** Clears away what an exporter that died left behind, as `take` does first; the bitmaps stay. */
  cleanUp(): Promise<void>;
  /** Ends what an earlier exporter held of run `run`: cleans up, and keeps or removes bitmaps as the end of its moment would have. */
  settle(run: string, outcome: 'committed' | 'abandoned'): Promise<void>;
}

/**
 * Changed blocks of a guest that libvirt runs: its backup jobs in pull mode and persistent bitmaps, read over NBD. libvirt is only ever
 * asked through its own program. Nothing is asked of it yet.
 */
export function openLibvirtSource(options: LibvirtSourceOptions): LibvirtSource {
  const settings = completeLibvirtSettings(options);
  const { domain: uuid, stateDirectory } = settings;
  const area = openScratch(settings.scratchDirectory, uuid);
  const place = { virsh: openVirsh(settings.connection), uuid, stateDirectory };
  const context: DomainContext = { place, settings, area };
  let preparing = false;
  let prepared: PreparedMoment | undefined;
  let moment: EndableMoment | undefined;

  async function disks(): Promise<readonly SourceDisk[]> {
    return (await findDisks(place.virsh, uuid, settings.disks)).map(toSourceDisk);
  }

  async function images(): Promise<readonly BaseImage[]> {
    const found = await findDisks(place.virsh, uuid, settings.disks);
    const read = found.filter((disk) => disk.volume === undefined && !hasOwnBitmap(disk));
    return measureBases(
      settings.images,
      read.map(({ layers }) => layers),
    );
  }

  async function prepare(request: MomentRequest): Promise<PreparedMoment> {
    if (preparing || prepared !== undefined || moment?.held) {
      throw new EkkoError('busy', `Server ${uuid} is held in a moment already: end that one first.`);
    }
    preparing = true;
    try {
      const preparation = await findOut(context, request);
      const steps = createPreparedMoment(context, preparation, await prepareQuiesce(context, preparation));
      prepared = { ...steps, open: () => open(steps), cancel: () => cancel(steps) };
      return prepared;
    } finally {
      preparing = false;
    }
  }

  async function open(steps: PreparedMoment): Promise<EndableMoment> {
    moment = await steps.open();
    prepared = undefined;
    return moment;
  }

  async function cancel(steps: PreparedMoment): Promise<void> {
    await steps.cancel();
    prepared = undefined;
  }

  async function take(request: MomentRequest): Promise<EndableMoment> {
    const steps = await prepare(request);
    try {
      await steps.freeze();
      await steps.checkpoint();
      await steps.thaw();
      return await steps.open();
    } catch (error) {
      await steps.cancel().catch(() => undefined);
      prepared = undefined;
      throw error;
    }
  }

  async function settle(run: string, outcome: 'committed' | 'abandoned'): Promise<void> {
    await cleanUpDomain(context);
    // One that was detached since is none that has to be there.
    const names = settings.disks ?? (await findDisks(place.virsh, uuid, undefined)).map(({ name }) => name);
    await settleBitmaps(place, names, bitmapName(run), outcome);
  }

  async function close(): Promise<void> {
    await prepared?.cancel();
    if (moment?.held) await moment.end('undecided');
  }

  return { disks, images, prepare, take, settle, cleanUp: () => cleanUpDomain(context), close };
}

async function findOut(context: DomainContext, request: MomentRequest): Promise<Preparation> {
  const { place, settings, area } = context;
  const bitmap = bitmapName(request.run);
  await cleanUpDomain(context);
  const wasRunning = await checkState(place, area, request);
  await checkRoom(area, settings.scratchLowWater);
  const found = await findDisks(place.virsh, place.uuid, settings.disks);
  await refuseThreads(place.virsh, place.uuid, found);
  // A run that is tried again finds its own bitmap of the last try, which counts from then.
  const again = found.some(({ bitmaps }) => bitmaps.some(({ name }) => name === bitmap));
  const names = found.map(({ name }) => name);
  if (again) await removeBitmaps(place, names, (one) => one === bitmap);
  const fileOf = area.moment();
  const disks = await Promise.all(
    found.map(async (disk, at) => {
      const parent = chooseParent(disk, request);
      return { disk, parent, file: fileOf(at).file, image: await imageOf(settings.images, disk, parent, request) };
    }),
  );
  return { request, bitmap, disks, wasRunning };
}

/** Of a local disk that must be read in full: the chain of a volume ends in the volume, which is written again one day. */
async function imageOf(images: MeasuredImages, disk: ProtectedDisk, parent: Parent, request: MomentRequest) {
  if (parent.bitmap !== undefined || disk.volume !== undefined) return undefined;
  return chooseImage(images, disk, parent.reason, request, ({ identity }) => isReadByQemu(identity));
}

/** True when the guest runs. Throws `qemu-failed` when it is shut off, or must be frozen and is paused; `busy` when somebody else works on it. */
async function checkState(place: DomainPlace, area: ScratchArea, { quiesce }: MomentRequest): Promise<boolean> {
  const state = await domainState(place);
  if (/^(?:shut off|crashed|in shutdown|no state)/.test(state)) {
    throw new EkkoError(
      'qemu-failed',
      `Server ${place.uuid} is ${state}: its disks can be read while it runs or is paused.`,
    );
  }
  if ((await runningJob(place, area.nbdSocket)) === 'foreign') {
    throw new EkkoError(
      'busy',
      `Server ${place.uuid} is in the middle of somebody else's operation (virsh domjobinfo). Wait for it to end.`,
    );
  }
  const running = state.startsWith('running');
  const obstacle = whyNot(quiesce, running);
  if (quiesce !== 'require' || obstacle === undefined) return running;
  throw new EkkoError('qemu-failed', `Server ${place.uuid} must be quiesced: ${obstacle}`);
}

async function checkRoom(area: ScratchArea, lowWater: number): Promise<void> {
  const free = await area.free();
  if (free >= lowWater) return;
  throw new EkkoError(
    'qemu-failed',
    `Scratch directory ${area.directory} has ${free} bytes free, less than the low-water mark of ${lowWater}: make room first.`,
  );
}
