import { XMLBuilder } from 'fast-xml-parser';
import type { Parent } from '../changed-blocks/bitmaps.ts';
import type { ImageBase } from '../changed-blocks/image-base.ts';
import type { ProtectedDisk } from './domain-disks.ts';

/** A disk within a moment. */
export interface MomentDisk {
  readonly disk: ProtectedDisk;
  readonly parent: Parent;
  /** The image that the disk is planned on, if it is. */
  readonly image?: ImageBase | undefined;
  /** The scratch file. */
  readonly file: string;
}

/** Name by which an export shows what was written since the parent's moment. */
export const CHANGES_BITMAP = 'ekko-changes';

const builder = new XMLBuilder({ ignoreAttributes: false, attributeNamePrefix: '@', suppressEmptyNode: true });

/** What `virsh backup-begin` is given: pull mode, each disk exported under its device's name (libvirt's formatbackup). */
export function backupDocument(socket: string, disks: readonly MomentDisk[]): string {
  const disk = disks.map(({ disk: { device }, parent, file }) => ({
    ...{ '@name': device, '@backup': 'yes', '@type': 'file', '@exportname': device },
    ...modeOf(parent),
    driver: { '@type': 'qcow2' },
    scratch: { '@file': file },
  }));
  const server = { '@transport': 'unix', '@socket': socket };
  return builder.build({ domainbackup: { '@mode': 'pull', server, disks: { disk } } });
}

function modeOf(parent: Parent) {
  if (parent.bitmap === undefined) return { '@backupmode': 'full' };
  return { '@backupmode': 'incremental', '@incremental': parent.bitmap, '@exportbitmap': CHANGES_BITMAP };
}

/** A checkpoint over `devices`, whose bitmaps have its name (libvirt's formatcheckpoint). */
export function checkpointDocument(name: string, devices: readonly string[]): string {
  const disk = devices.map((device) => ({ '@name': device, '@checkpoint': 'bitmap', '@bitmap': name }));
  // A time of creation is wanted where a checkpoint is made known again; nothing is read from it.
  return builder.build({ domaincheckpoint: { name, creationTime: 1, disks: { disk } } });
}
