import { openFileSource } from '../../../host-exporter/changed-blocks/file-source.ts';
import { openQemuSource } from '../../../host-exporter/changed-blocks/qemu-source.ts';
import { type SourceRig, testChangedBlockSource } from '../../conformance/changed-block-source.ts';
import { blockdevArguments, makeDirectory, qemuImg, qemuIo, startQemu } from './running-qemu.ts';

const SIZE = 1024 * 1024 + 512;

async function qemuRig(format: 'qcow2' | 'raw'): Promise<SourceRig> {
  const directory = await makeDirectory();
  const image = directory.file(`disk.${format}`);
  await qemuImg('create', '-q', '-f', format, image, String(SIZE));
  const qemu = await startQemu(directory, blockdevArguments('vda', image, format));
  const { qmpSocket } = qemu;
  const places = { scratchDirectory: directory.scratch, stateDirectory: directory.state };
  return {
    source: await openQemuSource({ qmpSocket, ...places, scratchLowWater: 1024 * 1024 }),
    diskName: 'vda',
    size: SIZE,
    fill: (offset, length, byte) => qemu.io('vda', `write -P ${byte} ${offset} ${length}`),
    remove: async () => {
      await qemu.kill();
      await directory.remove();
    },
  };
}

async function qcow2Rig(): Promise<SourceRig> {
  const directory = await makeDirectory();
  const path = directory.file('disk.qcow2');
  await qemuImg('create', '-q', '-f', 'qcow2', path, String(SIZE));
  return {
    source: await openFileSource([{ path, name: 'root' }]),
    diskName: 'root',
    size: SIZE,
    fill: (offset, length, byte) => qemuIo(path, `write -P ${byte} ${offset} ${length}`),
    remove: directory.remove,
  };
}

testChangedBlockSource('qcow2 disk of a running QEMU', () => qemuRig('qcow2'));
testChangedBlockSource('raw disk of a running QEMU', () => qemuRig('raw'));
testChangedBlockSource('qcow2 file', qcow2Rig);
