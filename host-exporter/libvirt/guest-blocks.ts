import { EkkoError } from '#vault/errors.ts';
import { type DirtyBitmap, parseBitmap, qcow2Version } from '../qemu/guest-disks.ts';
import { asObject, asObjects, countOf, type JsonObject, memberOf, textOf } from '../qemu/json-value.ts';
import type { DomainDisk } from './domain.ts';
import type { Virsh } from './virsh.ts';

/** What QEMU says of one disk of a running guest. `size` in bytes. */
export interface BlockState {
  readonly size: number;
  /** qcow2 of version 3 keeps bitmaps; nothing else does. */
  readonly keepsBitmaps: boolean;
  readonly bitmaps: readonly DirtyBitmap[];
}

/**
 * Asks QEMU, past libvirt, which does not tell of bitmaps. Questions only: libvirt would not know of a change. Throws what `Virsh` throws.
 */
export async function askMonitor(virsh: Virsh, domain: string, execute: string, args: JsonObject): Promise<unknown> {
  const question = JSON.stringify({ execute, arguments: args });
  const answer = JSON.parse(await virsh.run(['qemu-monitor-command', domain, question]));
  return memberOf(asObject(answer, `the answer to ${execute}`), 'return');
}

/** The state of each of `disks`, in their order. Throws `qemu-failed` for a disk that the guest does not have any more. */
export async function readBlockStates(
  virsh: Virsh,
  domain: string,
  disks: readonly DomainDisk[],
): Promise<readonly BlockState[]> {
  const answer = await askMonitor(virsh, domain, 'query-named-block-nodes', { flat: true });
  const nodes = new Map(asObjects(answer, 'the list of block nodes').map((node) => [textOf(node, 'node-name'), node]));
  return disks.map((disk) => {
    // Newer ones leave the layer of a raw format out.
    const node = nodes.get(`libvirt-${disk.index}-format`) ?? nodes.get(`libvirt-${disk.index}-storage`);
    if (node !== undefined) return parseNode(node, disk);
    throw new EkkoError('qemu-failed', `QEMU has no block node for disk ${disk.device} (${disk.image}) of ${domain}`);
  });
}

function parseNode(node: JsonObject, { device, image: place }: DomainDisk): BlockState {
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
