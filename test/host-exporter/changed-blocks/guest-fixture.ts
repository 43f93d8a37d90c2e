import { afterEach, beforeEach } from 'vitest';
import type { ChangedBlockSource } from '#vault/staging/changed-block-source.ts';
import type { QemuSourceOptions } from '../../../host-exporter/changed-blocks/qemu-settings.ts';
import { openQemuSource } from '../../../host-exporter/changed-blocks/qemu-source.ts';
import { createPoints, type Points } from './disk-model.ts';
import {
  blockdevArguments,
  makeDirectory,
  qemuImg,
  type RunningQemu,
  startQemu,
  type TestDirectory,
} from './running-qemu.ts';

const MIB = 1024 * 1024;
/** Of the guest's disk: no multiple of a segment. */
export const DISK_SIZE = 4 * MIB + 1024;

/** A QEMU, a directory and the points of a vault for each test of a file; what it opens is closed after the test. */
export interface Guest {
  directory: TestDirectory;
  qemu: RunningQemu;
  points: Points;
  /** Starts QEMU with other disks than the usual one, or again. */
  start(args: readonly string[]): Promise<void>;
  /** Starts QEMU with one qcow2 disk, `vda`; gives its image. */
  startWithDisk(): Promise<string>;
  open(more?: Partial<QemuSourceOptions>): Promise<ChangedBlockSource>;
  /** Takes a moment and commits it at once. */
  commit(source: ChangedBlockSource, run: string): Promise<void>;
}

export function useGuest(): Guest {
  const sources: ChangedBlockSource[] = [];
  // The rest is set before each test.
  const guest = { start, startWithDisk, open, commit } as Guest;

  beforeEach(async () => {
    guest.directory = await makeDirectory();
    guest.points = createPoints();
  });

  afterEach(async () => {
    for (const source of sources.splice(0)) await source.close();
    await guest.qemu.kill();
    await guest.directory.remove();
  });

  async function start(args: readonly string[]): Promise<void> {
    guest.qemu = await startQemu(guest.directory, args);
  }

  async function startWithDisk(): Promise<string> {
    const image = guest.directory.file('disk.qcow2');
    await qemuImg('create', '-q', '-f', 'qcow2', image, String(DISK_SIZE));
    await start(blockdevArguments('vda', image, 'qcow2'));
    return image;
  }

  async function open(more: Partial<QemuSourceOptions> = {}): Promise<ChangedBlockSource> {
    const { scratch: scratchDirectory, state: stateDirectory } = guest.directory;
    const fixed = { qmpSocket: guest.qemu.qmpSocket, scratchDirectory, stateDirectory, scratchLowWater: MIB };
    const source = await openQemuSource({ ...fixed, ...more });
    sources.push(source);
    return source;
  }

  async function commit(source: ChangedBlockSource, run: string): Promise<void> {
    const moment = await source.take(guest.points.request(run));
    guest.points.add(run, moment.plans);
    await moment.end('committed');
  }

  return guest;
}
