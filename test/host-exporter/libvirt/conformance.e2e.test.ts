import { describe } from 'vitest';
import { type SourceRig, testChangedBlockSource } from '../../conformance/changed-block-source.ts';
import { lacks } from '../../setup/cache.ts';
import { startLibvirtGuest } from './libvirt-guest.ts';

const SIZE = 1024 * 1024 + 512;

async function libvirtRig(format: 'qcow2' | 'raw'): Promise<SourceRig> {
  const guest = await startLibvirtGuest({ disks: [{ format, size: SIZE }] });
  return {
    source: guest.open(),
    diskName: `${guest.uuid}/root`,
    size: SIZE,
    fill: (offset, length, byte) => guest.io(0, `write -P ${byte} ${offset} ${length}`),
    remove: guest.remove,
  };
}

describe.skipIf(lacks('libvirt'))('through libvirt', () => {
  testChangedBlockSource('qcow2 disk of a guest of libvirt', () => libvirtRig('qcow2'));
  testChangedBlockSource('raw disk of a guest of libvirt', () => libvirtRig('raw'));
});
