import { EkkoError } from '#vault/errors.ts';
import type { BaseImage, ChangedBlockSource, MomentRequest, SourceDisk } from '#vault/staging/changed-block-source.ts';
import type { GuestDisk } from '../qemu/guest-disks.ts';
import { refuseUnsafeThreads } from '../qemu/iothreads.ts';
import { thawLeftBehind } from '../qemu/must-thaw.ts';
import { type OpenedFiles, openedFiles } from '../qemu/opened-files.ts';
import { connectQmp, type QmpClient } from '../qemu/qmp-client.ts';
import { bitmapName, chooseParent, hasOwnBitmap, removeBitmaps } from './bitmaps.ts';
import { guestStatus, removeOwnParts, resumeAfterIoError } from './clean-up.ts';
import { beginFleecing, exportFleecing, type FleecedDisk, prepareFleecing } from './fleecing.ts';
import type { EndableMoment } from './held-moment.ts';
import { chooseImage, measureBases } from './image-base.ts';
import { type MeasuredImage, type MeasuredImages, openMeasuredImages } from './measured-images.ts';
import { type GuestContext, openMoment } from './qemu-moment.ts';
import { completeSettings, type QemuSourceOptions } from './qemu-settings.ts';
import { quiesceGuest } from './quiesce.ts';
import { openScratch, type ScratchArea } from './scratch.ts';
import { selectDisks, toSourceDisk } from './select-disks.ts';

/**
 * Changed blocks of a running QEMU guest, by its monitor alone: fleecing and persistent bitmaps, read over NBD. Holds the monitor until
 * `close`. Throws `busy` when another client has it, `qemu-failed` when no QEMU listens.
 */
export async function openQemuSource(options: QemuSourceOptions): Promise<ChangedBlockSource> {
  const settings = completeSettings(options);
  const area = openScratch(settings.scratchDirectory, settings.qmpSocket);
  const images = openMeasuredImages(settings.stateDirectory);
  let qmp = await connectQmp(settings.qmpSocket);
  let moment: EndableMoment | undefined;
  let taking = false;
  let closed = false;

  async function monitor(): Promise<QmpClient> {
    if (qmp.closed && !closed) qmp = await connectQmp(settings.qmpSocket);
    return qmp;
  }

  async function disks(): Promise<readonly SourceDisk[]> {
    return (await selectDisks(await monitor(), settings.disks)).map(toSourceDisk);
  }

  async function baseImages(): Promise<readonly BaseImage[]> {
    const found = (await selectDisks(await monitor(), settings.disks)).filter((disk) => !hasOwnBitmap(disk));
    return measureBases(
      images,
      found.map(({ layers }) => layers),
    );
  }

  async function take(request: MomentRequest): Promise<EndableMoment> {
    if (taking || moment?.held) {
      throw new EkkoError(
        'busy',
        `The guest at ${settings.qmpSocket} is held in a moment already: end that one first.`,
      );
    }
    taking = true;
    try {
      moment = await takeMoment({ settings, area, images, monitor }, request);
      return moment;
    } finally {
      taking = false;
    }
  }

  async function close(): Promise<void> {
    try {
      if (moment?.held) await moment.end('undecided');
    } finally {
      closed = true;
      await qmp.close();
    }
  }

  return { disks, images: baseImages, take, close };
}

async function takeMoment(guest: GuestContext, request: MomentRequest): Promise<EndableMoment> {
  const { settings, area } = guest;
  const bitmap = bitmapName(request.run);
  const qmp = await guest.monitor();
  await cleanUpAtStart(qmp, guest);
  await checkRoom(area, settings.scratchLowWater);
  const disks = await selectDisks(qmp, settings.disks);
  await refuseUnsafeThreads(qmp, disks);
  const nodes = new Set(disks.map((disk) => disk.node));
  const name = area.moment();
  const isRead = readByGuest(settings.qmpSocket);
  const fleeced = await Promise.all(
    disks.map((disk, index) => decide(guest.images, request, disk, { isRead, ...name(index) })),
  );
  // A run that is tried again finds its own bitmap of the last try, which counts from then.
  await removeBitmaps(qmp, nodes, (found) => found === bitmap);
  try {
    return await hold(guest, qmp, request, fleeced, bitmap);
  } catch (error) {
    await undo(guest, nodes, bitmap).catch(() => undefined);
    throw error;
  }
}

type IsRead = (image: MeasuredImage) => Promise<boolean>;

/** Whether the guest's QEMU has an image's file open; its files are looked for once, and not before somebody asks. */
function readByGuest(qmpSocket: string): IsRead {
  let opened: Promise<OpenedFiles> | undefined;
  return async ({ identity }) => {
    opened ??= openedFiles(qmpSocket);
    return (await opened).has(identity);
  };
}

/** From what the disk is read. */
async function decide(
  images: MeasuredImages,
  request: MomentRequest,
  disk: GuestDisk,
  { isRead, ...named }: { readonly id: string; readonly file: string; readonly isRead: IsRead },
): Promise<FleecedDisk> {
  const parent = chooseParent(disk, request);
  const image =
    parent.bitmap === undefined ? await chooseImage(images, disk, parent.reason, request, isRead) : undefined;
  return { disk, parent, image, ...named };
}

async function hold(
  guest: GuestContext,
  qmp: QmpClient,
  request: MomentRequest,
  fleeced: readonly FleecedDisk[],
  bitmap: string,
): Promise<EndableMoment> {
  await prepareFleecing(qmp, guest.area, fleeced);
  const wasRunning = (await guestStatus(qmp)) === 'running';
  const quiesced = await quiesceGuest(guest.settings, request.quiesce, wasRunning, async () => {
    await beginFleecing(qmp, fleeced, bitmap);
    return new Date();
  });
  await exportFleecing(qmp, fleeced);
  return openMoment(guest, qmp, { request, fleeced, bitmap, wasRunning, quiesced });
}

/** Clears away what an exporter that died left behind, thawing first; a guest that its scratch area stopped goes on. */
async function cleanUpAtStart(qmp: QmpClient, { settings, area }: GuestContext): Promise<void> {
  const { agentSocket, stateDirectory, thaw } = settings;
  if (agentSocket !== undefined) await thawLeftBehind(stateDirectory, agentSocket, thaw);
  if (await removeOwnParts(qmp)) await resumeAfterIoError(qmp);
  await area.clear();
}

/** Takes back what a moment that failed half-way has made. What this leaves, the next start removes. */
async function undo(guest: GuestContext, nodes: ReadonlySet<string>, bitmap: string): Promise<void> {
  const qmp = await guest.monitor();
  await removeOwnParts(qmp);
  await resumeAfterIoError(qmp);
  await guest.area.clear();
  await removeBitmaps(qmp, nodes, (found) => found === bitmap);
}

async function checkRoom(area: ScratchArea, lowWater: number): Promise<void> {
  const free = await area.free();
  if (free >= lowWater) return;
  throw new EkkoError(
    'qemu-failed',
    `Scratch directory ${area.directory} has ${free} bytes free, less than the low-water mark of ${lowWater}: make room first.`,
  );
}
