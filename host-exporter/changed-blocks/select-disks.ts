import { EkkoError } from '#vault/errors.ts';
import type { SourceDisk } from '#vault/staging/changed-block-source.ts';
import { type GuestDisk, listGuestDisks } from '../qemu/guest-disks.ts';
import type { QmpClient } from '../qemu/qmp-client.ts';
import type { DiskChoice } from './qemu-settings.ts';

/** 1-255 bytes, printable. */
const DISK_NAME = /^[\x20-\x7e]{1,255}$/;

/** The disks to protect under the names they go by. Throws `disk-unknown` for a choice that fits none, `bad-input` for one name twice. */
export async function selectDisks(qmp: QmpClient, choices?: readonly DiskChoice[]): Promise<readonly GuestDisk[]> {
  const all = await listGuestDisks(qmp);
  const chosen = choices === undefined ? all : choices.map((choice) => find(all, choice, qmp.socketPath));
  for (const { name } of chosen) {
    const again = chosen.filter((disk) => disk.name === name);
    if (again.length === 1 && DISK_NAME.test(name)) continue;
    const found = again.map((disk) => disk.image).join(', ');
    throw new EkkoError(
      'bad-input',
      `Disk name "${name}" (${found}) is not unique and printable: name the disks to protect`,
    );
  }
  if (chosen.length > 0) return chosen;
  throw new EkkoError('disk-unknown', `The guest at ${qmp.socketPath} has no writable disk`);
}

function find(all: readonly GuestDisk[], { device, name }: DiskChoice, socketPath: string): GuestDisk {
  const disk = all.find((one) => one.aliases.includes(device));
  if (disk) return { ...disk, name: name ?? disk.name };
  const there = all.map((one) => one.aliases.join(' = ')).join('; ');
  throw new EkkoError('disk-unknown', `The guest at ${socketPath} has no writable disk "${device}". It has: ${there}`);
}

export function toSourceDisk({ name, size, image, node }: GuestDisk): SourceDisk {
  return { name, size, origin: `${image} (node ${node})` };
}
