/**
 * libvirt's backup shows no allocation depths. For as long as a moment's reads are planned, the same scratch nodes are exported a second time,
 * read-only, by libvirt's own NBD server: libvirt knows nothing of it, has it end with its server, and meets it nowhere else.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { OWN_PREFIX } from '../changed-blocks/bitmaps.ts';
import { endsIn } from '../changed-blocks/image-base.ts';
import { layersOf } from '../qemu/image-layers.ts';
import { asObject, asObjects, type JsonObject, memberOf, textOf } from '../qemu/json-value.ts';
import type { MomentDisk } from './backup-documents.ts';
import type { DomainPlace } from './checkpoints.ts';
import { askMonitor } from './guest-blocks.ts';

const PREFIX = `${OWN_PREFIX}depth-`;
const POLL_MS = 10;
const LONGEST_END_MS = 5_000;

/**
 * Does `work` while the depths of those disks are shown that are planned on an image; it is given the names of their exports, by device. A disk
 * whose depths cannot be shown has none, and is read in full.
 */
export async function withDepths<T>(
  place: DomainPlace,
  disks: readonly MomentDisk[],
  work: (exports: ReadonlyMap<string, string>) => Promise<T>,
): Promise<T> {
  const wanted = disks.filter(({ image }) => image !== undefined);
  if (wanted.length === 0) return work(new Map());
  const exports = new Map<string, string>();
  try {
    const nodes = await listNodes(place).catch(() => []);
    for (const one of wanted) {
      const name = PREFIX + one.disk.device;
      if (await showDepths(place, nodes, one, name)) exports.set(one.disk.device, name);
    }
    return await work(exports);
  } finally {
    await endAll(place, [...exports.values()]);
  }
}

async function listNodes({ virsh, uuid }: DomainPlace): Promise<readonly JsonObject[]> {
  return asObjects(await askMonitor(virsh, uuid, 'query-named-block-nodes', {}), 'the list of block nodes');
}

async function showDepths(
  { virsh, uuid }: DomainPlace,
  nodes: readonly JsonObject[],
  { file, image }: MomentDisk,
  name: string,
): Promise<boolean> {
  const node = nodes.find((one) => textOf(one, 'file') === file && textOf(one, 'drv') === 'qcow2');
  if (node === undefined || image === undefined) return false;
  if (!endsIn(layersOf(asObject(memberOf(node, 'image'), name), name), image)) return false;
  const shown = { writable: false, 'allocation-depth': true };
  const options = { id: name, type: 'nbd', 'node-name': textOf(node, 'node-name'), name, ...shown };
  return askMonitor(virsh, uuid, 'block-export-add', options).then(
    () => true,
    () => false,
  );
}

/** What does not end now ends with libvirt's backup. */
async function endAll(place: DomainPlace, names: readonly string[]): Promise<void> {
  const { virsh, uuid } = place;
  for (const id of names)
    await askMonitor(virsh, uuid, 'block-export-del', { id, mode: 'hard' }).catch(() => undefined);
  for (const end = Date.now() + LONGEST_END_MS; names.length > 0 && Date.now() < end; await sleep(POLL_MS)) {
    const left = await askMonitor(virsh, uuid, 'query-block-exports', {}).catch(() => []);
    if (!asObjects(left, 'the list of exports').some((one) => textOf(one, 'id').startsWith(PREFIX))) return;
  }
}
