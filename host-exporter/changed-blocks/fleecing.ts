/**
 * A moment of several disks by fleecing: a scratch qcow2 over each disk takes what the guest overwrites (blockdev-backup sync=none),
 * so the scratch node shows the disk as it was. QEMU's docs/interop/bitmaps and docs/interop/live-block-operations.
 */
import { EkkoError } from '#vault/errors.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import type { GuestDisk } from '../qemu/guest-disks.ts';
import { layersOf } from '../qemu/image-layers.ts';
import { asObject, asObjects, type JsonObject, memberOf, textOf } from '../qemu/json-value.ts';
import type { QmpClient } from '../qemu/qmp-client.ts';
import { OWN_PREFIX, type Parent } from './bitmaps.ts';
import { FILE_SUFFIX, removeOwnParts } from './clean-up.ts';
import { endsIn, type ImageBase } from './image-base.ts';
import type { ScratchArea } from './scratch.ts';

export interface FleecedDisk {
  readonly disk: GuestDisk;
  readonly parent: Parent;
  /** The image that the disk is planned on, if it is. */
  readonly image: ImageBase | undefined;
  /** Names the scratch node, the job, the export and its name alike. */
  readonly id: string;
  /** The scratch file. */
  readonly file: string;
}

/** The copy of the parent's bitmap as it was at the moment, on the scratch node. */
const FROZEN_BITMAP = `${OWN_PREFIX}changes`;
export const CHANGES_CONTEXT = `qemu:dirty-bitmap:${FROZEN_BITMAP}`;

/** Makes scratch nodes and the NBD server; the guest does not notice. What fails half-way is removed by `removeOwnParts`. */
export async function prepareFleecing(
  qmp: QmpClient,
  area: ScratchArea,
  fleeced: readonly FleecedDisk[],
): Promise<void> {
  for (const one of fleeced) await addScratchNode(qmp, one);
  const addr = { type: 'unix', data: { path: area.nbdSocket } };
  try {
    await qmp.execute('nbd-server-start', { addr, 'max-connections': 0 });
  } catch (cause) {
    if (!(cause instanceof Error && cause.message.includes('already running'))) throw cause;
    await removeOwnParts(qmp, 'foreign');
    throw new EkkoError(
      'busy',
      `The guest at ${qmp.socketPath} runs an NBD server of somebody else's (a backup, a migration), and QEMU has only one. Wait for it to end.`,
      { cause },
    );
  }
}

/** QEMU makes the file itself, so that it has QEMU's owner and labels. */
async function addScratchNode(qmp: QmpClient, { disk, id, file }: FleecedDisk): Promise<void> {
  const fileNode = id + FILE_SUFFIX;
  await runJob(qmp, id, { driver: 'file', filename: file, size: 0 });
  await qmp.execute('blockdev-add', { driver: 'file', 'node-name': fileNode, filename: file });
  await runJob(qmp, id, { driver: 'qcow2', file: fileNode, size: disk.size });
  await qmp.execute('blockdev-add', { driver: 'qcow2', 'node-name': id, file: fileNode, backing: disk.node });
}

async function runJob(qmp: QmpClient, id: string, options: JsonObject): Promise<void> {
  const concluded = { event: 'JOB_STATUS_CHANGE', data: { id, status: 'concluded' } };
  await qmp.executeUntil('blockdev-create', { 'job-id': id, options }, concluded);
  const jobs = asObjects(await qmp.execute('query-jobs'), 'the answer to query-jobs');
  const error = textOf(jobs.find((job) => textOf(job, 'id') === id) ?? {}, 'error');
  await qmp.execute('job-dismiss', { id });
  if (error === '') return;
  throw new EkkoError('qemu-failed', `QEMU could not make scratch image ${JSON.stringify(options)}: ${error}`);
}

/** The moment: one transaction over all disks. New bitmaps begin, old ones are copied and record on, scratch nodes stand still. */
export async function beginFleecing(qmp: QmpClient, fleeced: readonly FleecedDisk[], bitmap: string): Promise<void> {
  const actions = fleeced.flatMap((one) => actionsFor(one, bitmap));
  await qmp.execute('transaction', { actions });
}

function actionsFor({ disk, parent, id }: FleecedDisk, bitmap: string): readonly JsonObject[] {
  const begin = { node: disk.node, name: bitmap, persistent: true, granularity: SEGMENT_SIZE };
  const copy = { node: id, name: FROZEN_BITMAP, disabled: true, granularity: SEGMENT_SIZE };
  const merge = { node: id, target: FROZEN_BITMAP, bitmaps: [{ node: disk.node, name: parent.bitmap }] };
  const backup = { 'job-id': id, device: disk.node, target: id, sync: 'none', 'auto-dismiss': true };
  return [
    ...(disk.keepsBitmaps ? [{ type: 'block-dirty-bitmap-add', data: begin }] : []),
    ...(parent.bitmap === undefined
      ? []
      : [
          { type: 'block-dirty-bitmap-add', data: copy },
          { type: 'block-dirty-bitmap-merge', data: merge },
        ]),
    { type: 'blockdev-backup', data: backup },
  ];
}

/** Shows the scratch nodes over NBD, read-only, each under its id. */
export async function exportFleecing(qmp: QmpClient, fleeced: readonly FleecedDisk[]): Promise<void> {
  for (const { id, parent, image } of fleeced) {
    const shown = {
      bitmaps: parent.bitmap === undefined ? [] : [FROZEN_BITMAP],
      ...(image === undefined ? {} : { 'allocation-depth': true }),
    };
    await qmp.execute('block-export-add', { id, type: 'nbd', 'node-name': id, name: id, writable: false, ...shown });
  }
}

/**
 * Those disks whose scratch node's chain is still the disk's as it was when the image was chosen: depths are counted along it. QEMU tells each
 * chain again at each of its nodes: it is asked once for all disks.
 */
export async function findStanding(qmp: QmpClient, fleeced: readonly FleecedDisk[]): Promise<ReadonlySet<FleecedDisk>> {
  if (fleeced.every(({ image }) => image === undefined)) return new Set();
  const nodes = asObjects(await qmp.execute('query-named-block-nodes'), 'the answer to query-named-block-nodes');
  return new Set(fleeced.filter((one) => standsOn(nodes, one)));
}

function standsOn(nodes: readonly JsonObject[], { id, image }: FleecedDisk): boolean {
  const node = nodes.find((one) => textOf(one, 'node-name') === id);
  if (node === undefined || image === undefined) return false;
  return endsIn(layersOf(asObject(memberOf(node, 'image'), id), id), image);
}
