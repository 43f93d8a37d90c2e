import { EkkoError } from '#vault/errors.ts';
import { type DirtyBitmap, parseBitmap, qcow2Version } from '../qemu/guest-disks.ts';
import { type ImageLayer, layersOf } from '../qemu/image-layers.ts';
import { asObject, asObjects, countOf, type JsonObject, memberOf, textOf } from '../qemu/json-value.ts';
import type { DomainDisk } from './domain.ts';
import type { Virsh } from './virsh.ts';

/** What QEMU says of one disk of a running guest. `size` in bytes. */
export interface BlockState {
  readonly size: number;
  /** qcow2 of version 3 keeps bitmaps; nothing else does. */
  readonly keepsBitmaps: boolean;
  readonly bitmaps: readonly DirtyBitmap[];
  /** The chain of images that its content comes from, its own first; empty where QEMU does not tell. */
  readonly layers: readonly ImageLayer[];
}

/**
 * Asks QEMU, past libvirt, which does not tell of bitmaps. Questions only, but for `depth-exports.ts`: libvirt would not know of a change.
 * Throws what `Virsh` throws, and `qemu-failed` for what QEMU refuses.
 */
export async function askMonitor(virsh: Virsh, domain: string, execute: string, args: JsonObject): Promise<unknown> {
  const question = JSON.stringify({ execute, arguments: args });
  const answer = asObject(
    JSON.parse(await virsh.run(['qemu-monitor-command', domain, question])),
    `the answer to ${execute}`,
  );
  if ('return' in answer) return memberOf(answer, 'return');
  throw new EkkoError(
    'qemu-failed',
    `QEMU of ${domain} refuses ${execute}: ${JSON.stringify(memberOf(answer, 'error'))}`,
  );
}

/** The state of each of `disks`, in their order. Throws `qemu-failed` for a disk that the guest does not have any more. */
export async function readBlockStates(
  virsh: Virsh,
  domain: string,
  disks: readonly DomainDisk[],
): Promise<readonly BlockState[]> {
  const answer = await askMonitor(virsh, domain, 'query-named-block-nodes', { flat: true });
  const nodes = new Map(asObjects(answer, 'the list of block nodes').map((node) => [textOf(node, 'node-name'), node]));
  const chains = await readChains(virsh, domain);
  return disks.map((disk) => {
    // Newer ones leave the layer of a raw format out.
    const node = nodes.get(`libvirt-${disk.index}-format`) ?? nodes.get(`libvirt-${disk.index}-storage`);
    if (node !== undefined) return { ...parseNode(node, disk), layers: chains.get(textOf(node, 'node-name')) ?? [] };
    throw new EkkoError('qemu-failed', `QEMU has no block node for disk ${disk.device} (${disk.image}) of ${domain}`);
  });
}

/** By the node that the guest's device uses. The list of nodes would tell each chain again at each of its nodes. */
async function readChains(virsh: Virsh, domain: string): Promise<ReadonlyMap<string, readonly ImageLayer[]>> {
  const devices = asObjects(await askMonitor(virsh, domain, 'query-block', {}), 'the answer to query-block');
  const chains = new Map<string, readonly ImageLayer[]>();
  for (const device of devices) {
    const inserted = asObject(memberOf(device, 'inserted') ?? {}, 'inserted');
    const image = memberOf(inserted, 'image');
    const node = textOf(inserted, 'node-name');
    if (image !== undefined) chains.set(node, layersOf(asObject(image, `the image of ${node}`), node));
  }
  return chains;
}

function parseNode(node: JsonObject, { device, image: place }: DomainDisk): Omit<BlockState, 'layers'> {
  const what = `disk ${device} (${place})`;
  const image = asObject(memberOf(node, 'image'), `the image of ${what}`);
  // Operations under way keep bitmaps without a name.
  const bitmaps = asObjects(memberOf(node, 'dirty-bitmaps') ?? [], `the bitmaps of ${what}`);
  return {
    size: countOf(image, 'virtual-size', what),
    keepsBitmaps: textOf(node, 'drv') === 'qcow2' && qcow2Version(image) !== '0.10',
    bitmaps: bitmaps.filter((bitmap) => textOf(bitmap, 'name') !== '').map(parseBitmap),
  };
}
