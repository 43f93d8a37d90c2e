import { EkkoError } from '#vault/errors.ts';
import type { MomentRequest } from '#vault/staging/changed-block-source.ts';
import type { EndableMoment } from '../changed-blocks/held-moment.ts';
import type { Quiesced } from '../changed-blocks/quiesce.ts';
import { removeFile, type ScratchArea } from '../changed-blocks/scratch.ts';
import { noFreeze, notStill, type PreparedFreeze, prepareFreeze } from '../qemu/freeze.ts';
import { isQemuGone } from '../qemu/qmp-client.ts';
import { backupDocument, checkpointDocument, type MomentDisk } from './backup-documents.ts';
import { endBackup } from './backup-job.ts';
import {
  type DomainPlace,
  forgetCheckpoints,
  type KnownCheckpoint,
  removeBitmaps,
  whileKnown,
  withDocument,
} from './checkpoints.ts';
import { openLibvirtMoment } from './libvirt-moment.ts';
import type { LibvirtSettings } from './libvirt-settings.ts';
import { libvirtAgentAddress } from './open-agent.ts';
import { createStep } from './step.ts';

/** What the parts of one domain's source hold together. */
export interface DomainContext {
  readonly place: DomainPlace;
  readonly settings: LibvirtSettings;
  readonly area: ScratchArea;
}

/** What is known before the guest notices anything. */
export interface Preparation {
  readonly request: MomentRequest;
  /** Name of the run's own bitmap. */
  readonly bitmap: string;
  readonly disks: readonly MomentDisk[];
  readonly wasRunning: boolean;
}

/**
 * The steps of one moment, so that several servers on several hosts can take each step together. Each is idempotent, and to be taken
 * in this order; `cancel` at any time before `open` has resolved.
 */
export interface PreparedMoment {
  /** Freezes the guest as the request asks. Throws `qemu-failed` where it must be frozen and cannot be. */
  freeze(): Promise<void>;
  /** The moment itself: from here on the disks are shown as they are now. Throws `qemu-failed`, `busy`. */
  checkpoint(): Promise<void>;
  /** Throws `qemu-failed` where the guest had to be frozen until now and was not, or stays frozen. */
  thaw(): Promise<void>;
  /** Plans what is to be read. */
  open(): Promise<EndableMoment>;
  /** Thaws, and takes back all that was done. */
  cancel(): Promise<void>;
}

export function createPreparedMoment(
  context: DomainContext,
  preparation: Preparation,
  prepared: PreparedFreeze,
): PreparedMoment {
  const { request } = preparation;
  let { disks } = preparation;

  const quiescing = createStep(prepared.freeze);

  const freeze = createStep(async () => {
    const frozen = await quiescing.take();
    if (request.quiesce === 'require' && !frozen.frozen) throw notStill(frozen.note);
    return frozen;
  });

  const checkpoint = createStep(async () => {
    if (freeze.answer === undefined) throw outOfOrder('checkpoint', 'freeze');
    await freeze.answer;
    disks = await begin(context, preparation.bitmap, disks);
    return new Date();
  });

  const thaw = createStep(async (): Promise<Quiesced<Date>> => {
    if (freeze.answer === undefined || checkpoint.answer === undefined) throw outOfOrder('thaw', 'checkpoint');
    const { frozen, note, frozenMs } = await (await freeze.answer).thaw();
    if (request.quiesce === 'require' && !frozen) throw notStill(note);
    return { result: await checkpoint.answer, consistency: frozen ? 'file-system' : 'crash', note, frozenMs };
  });

  const open = createStep(async () => {
    if (thaw.answer === undefined) throw outOfOrder('reading', 'thaw');
    const quiesced = await thaw.answer;
    // Not before: no other server of the group waits for it.
    await (await freeze.answer)?.settled();
    // libvirt has been told to already; where that failed, the run does not go on.
    await forgetCheckpoints(context.place);
    return openLibvirtMoment(context, { ...preparation, disks, quiesced });
  });

  async function cancel(): Promise<void> {
    if (quiescing.answer === undefined) await prepared.cancel();
    else await (await quiescing.answer.catch(() => undefined))?.settled();
    await checkpoint.answer?.catch(() => undefined);
    await undo(context, preparation);
  }

  return {
    freeze: async () => void (await freeze.take()),
    checkpoint: async () => void (await checkpoint.take()),
    thaw: async () => void (await thaw.take()),
    open: open.take,
    cancel,
  };
}

function outOfOrder(step: string, before: string): EkkoError {
  return new EkkoError('bad-input', `The ${step} of a moment comes after its ${before}`);
}

/** Never asks a guest that is not to be frozen, or cannot answer. */
export async function prepareQuiesce(
  { place, settings }: DomainContext,
  { request, wasRunning }: Preparation,
): Promise<PreparedFreeze> {
  const obstacle = whyNot(request.quiesce, wasRunning);
  if (obstacle !== undefined) return noFreeze(obstacle);
  const { stateDirectory, freezeMs, thaw, watchdogMs, watchdogCommand } = settings;
  return prepareFreeze({
    agentSocket: libvirtAgentAddress(place.uuid, place.virsh.uri),
    ...{ stateDirectory, freezeMs, thaw, watchdogMs },
    ...(watchdogCommand ? { watchdogCommand } : {}),
  });
}

/** Why a guest is not asked to freeze, in words for people. */
export function whyNot(mode: MomentRequest['quiesce'], running: boolean): string | undefined {
  if (mode === 'never') return 'quiescing was not asked for';
  return running ? undefined : 'the guest is not running';
}

/** The checkpoints that the disks count from. */
function parentsOf(disks: readonly MomentDisk[]): readonly KnownCheckpoint[] {
  const counted = disks.flatMap(({ disk: { device }, parent: { bitmap } }) => (bitmap ? [{ device, bitmap }] : []));
  return [...Map.groupBy(counted, ({ bitmap }) => bitmap)].map(([name, on]) => ({
    name,
    devices: on.map(({ device }) => device),
  }));
}

/** Begins the backup; the disks are given back as they are read. What libvirt cannot count from is read in full. */
async function begin(
  context: DomainContext,
  bitmap: string,
  disks: readonly MomentDisk[],
): Promise<readonly MomentDisk[]> {
  try {
    await beginBackup(context, bitmap, disks);
    return disks;
  } catch (error) {
    const counted = disks.some(({ parent }) => parent.bitmap !== undefined);
    if (!counted || !isRefused(error) || !/bitmap|checkpoint/i.test(error.message)) throw error;
    const parent = { bitmap: undefined, reason: 'bitmap-inconsistent' } as const;
    const full = disks.map((one) => (one.parent.bitmap === undefined ? one : { ...one, parent }));
    await beginBackup(context, bitmap, full);
    return full;
  }
}

/** By a guest that is there, and that nobody else works on. */
function isRefused(error: unknown): error is EkkoError {
  return error instanceof EkkoError && error.code === 'qemu-failed' && !isQemuGone(error);
}

async function beginBackup({ place, area }: DomainContext, bitmap: string, disks: readonly MomentDisk[]) {
  const keeping = disks.filter(({ disk }) => disk.keepsBitmaps).map(({ disk }) => disk.device);
  await withDocument(place, 'backup', backupDocument(area.nbdSocket, disks), async (backup) => {
    const begin = ['backup-begin', place.uuid, backup];
    if (keeping.length === 0) return whileKnown(place, parentsOf(disks), begin);
    return withDocument(place, 'checkpoint', checkpointDocument(bitmap, keeping), (checkpoint) =>
      whileKnown(place, parentsOf(disks), [...begin, checkpoint], bitmap),
    );
  });
}

/** Takes back what a moment that failed half-way has made. What this leaves, the next start removes. */
async function undo({ place, area }: DomainContext, { bitmap, disks }: Preparation): Promise<void> {
  try {
    await endBackup(place, area.nbdSocket);
    const names = disks.map(({ disk }) => disk.name);
    await removeBitmaps(place, names, (found) => found === bitmap);
  } catch (error) {
    if (!isQemuGone(error)) throw error;
  }
  for (const { file } of disks) await removeFile(file);
}
