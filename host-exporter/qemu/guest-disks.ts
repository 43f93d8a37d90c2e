import { EkkoError } from '#vault/errors.ts';
import { LARGEST_DISK } from '#vault/words.ts';
import { type ImageLayer, layersOf } from './image-layers.ts';
import { asObject, asObjects, countOf, type JsonObject, memberOf, textOf } from './json-value.ts';
import { readTextProperty } from './object-model.ts';
import type { QmpClient } from './qmp-client.ts';

/** A dirty bitmap as query-block reports it (QEMU's BlockDirtyInfo). `count` in bytes. */
export interface DirtyBitmap {
  readonly name: string;
  readonly count: number;
  readonly granularity: number;
  readonly recording: boolean;
  readonly busy: boolean;
  readonly persistent: boolean;
  readonly inconsistent: boolean;
}

/** A writable disk of a running guest. `size` in bytes. */
export interface GuestDisk {
  /** The most stable name there is: the device's id, else its serial, else the drive's id, else the node name. */
  readonly name: string;
  /** Every name that means this disk. */
  readonly aliases: readonly string[];
  readonly node: string;
  /** QOM path of the device that the guest sees; '' for a drive that no device uses. */
  readonly device: string;
  readonly size: number;
  /** Path or URL of the image, for people. */
  readonly image: string;
  /** qcow2 of version 3 keeps bitmaps; nothing else does. */
  readonly keepsBitmaps: boolean;
  readonly bitmaps: readonly DirtyBitmap[];
  /** The chain of images that its content comes from, its own first. */
  readonly layers: readonly ImageLayer[];
}

const FLASH = /\/(?:system|pc)\.flash\d+$/;
const DEVICE_WITH_ID = /^\/machine\/peripheral\/([^/]+)$/;

/** Lists the guest's writable disks: no CD or floppy drives, no empty or read-only ones, no firmware flash. */
export async function listGuestDisks(qmp: QmpClient): Promise<readonly GuestDisk[]> {
  const disks: GuestDisk[] = [];
  for (const device of asObjects(await qmp.execute('query-block'), 'the answer to query-block')) {
    if (!isDisk(device)) continue;
    const path = devicePath(device);
    disks.push(describe(device, path === '' ? '' : await readTextProperty(qmp, path, 'serial')));
  }
  return disks;
}

function isDisk(device: JsonObject): boolean {
  const inserted = memberOf(device, 'inserted');
  if (inserted === undefined || memberOf(device, 'removable') === true) return false;
  return memberOf(asObject(inserted, 'inserted'), 'ro') === false && !FLASH.test(devicePath(device));
}

function describe(device: JsonObject, serial: string): GuestDisk {
  const inserted = asObject(memberOf(device, 'inserted'), 'inserted');
  const image = asObject(memberOf(inserted, 'image'), 'the image of a disk');
  const node = textOf(inserted, 'node-name');
  const path = devicePath(device);
  const id = DEVICE_WITH_ID.exec(path)?.[1] ?? '';
  const aliases = [id, serial, textOf(device, 'device'), node].filter((name) => name !== '');
  const [name] = aliases;
  const size = countOf(image, 'virtual-size', `disk ${name}`);
  if (name === undefined || size > LARGEST_DISK) {
    throw new EkkoError('bad-input', `Disk ${name} of ${size} bytes cannot be protected: nameless or too large`);
  }
  const bitmaps = asObjects(memberOf(inserted, 'dirty-bitmaps') ?? [], 'dirty-bitmaps').map(parseBitmap);
  const keepsBitmaps = textOf(inserted, 'drv') === 'qcow2' && qcow2Version(image) !== '0.10';
  const layers = layersOf(image, `disk ${name}`);
  return { name, aliases, node, device: path, size, image: textOf(inserted, 'file'), keepsBitmaps, bitmaps, layers };
}

function devicePath(device: JsonObject): string {
  return textOf(device, 'qdev').replace(/\/virtio-backend$/, '');
}

/** The `compat` of a qcow2 image; "0.10" keeps no bitmaps. */
export function qcow2Version(image: JsonObject): string {
  const specific = asObject(memberOf(image, 'format-specific') ?? {}, 'format-specific');
  return textOf(asObject(memberOf(specific, 'data') ?? {}, 'format-specific data'), 'compat');
}

/** A bitmap as QEMU lists it. */
export function parseBitmap(bitmap: JsonObject): DirtyBitmap {
  const what = `dirty bitmap ${textOf(bitmap, 'name')}`;
  return {
    name: textOf(bitmap, 'name'),
    count: countOf(bitmap, 'count', what),
    granularity: countOf(bitmap, 'granularity', what),
    recording: memberOf(bitmap, 'recording') === true,
    busy: memberOf(bitmap, 'busy') === true,
    persistent: memberOf(bitmap, 'persistent') === true,
    inconsistent: memberOf(bitmap, 'inconsistent') === true,
  };
}
