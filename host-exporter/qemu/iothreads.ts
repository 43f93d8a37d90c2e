import { EkkoError } from '#vault/errors.ts';
import type { GuestDisk } from './guest-disks.ts';
import { asObject, countOf, memberOf } from './json-value.ts';
import { readTextProperty } from './object-model.ts';
import type { QmpClient } from './qmp-client.ts';

/** From 9.1 on QEMU ends NBD connections in its main thread, wherever the disk is served. */
const SAFE = { major: 9, minor: 1 };

/**
 * Refuses disks that an I/O thread serves, where QEMU would not survive it: older ones end the connection of an NBD client in that
 * thread, and those with the fix of CVE-2024-7409 ported back (seen: Debian's 7.2.22) then fail an assertion and abort, and the guest
 * with them; an exporter that is killed would take the guest along. Throws `qemu-failed`.
 */
export async function refuseUnsafeThreads(qmp: QmpClient, disks: readonly GuestDisk[]): Promise<void> {
  const { major, minor } = await versionOf(qmp);
  if (major > SAFE.major || (major === SAFE.major && minor >= SAFE.minor)) return;
  for (const { name, device } of disks) {
    if (!(await isServedByThread(qmp, device))) continue;
    throw new EkkoError(
      'qemu-failed',
      `Disk ${name} of the guest at ${qmp.socketPath} is served by an I/O thread, and QEMU ${major}.${minor} may abort the guest when a ` +
        'backup of such a disk ends. Leave the disk out, take its iothread away, or upgrade QEMU to 9.1.',
    );
  }
}

async function versionOf(qmp: QmpClient): Promise<{ major: number; minor: number }> {
  const answer = asObject(await qmp.execute('query-version'), 'the answer to query-version');
  const version = asObject(memberOf(answer, 'qemu'), 'the version of QEMU');
  return { major: countOf(version, 'major', 'the version'), minor: countOf(version, 'minor', 'the version') };
}

/** virtio-blk names its thread itself; a SCSI disk's controller does. */
async function isServedByThread(qmp: QmpClient, device: string): Promise<boolean> {
  if (device === '') return false;
  if ((await readTextProperty(qmp, device, 'iothread')) !== '') return true;
  const bus = await readTextProperty(qmp, device, 'parent_bus');
  const controller = bus.replace(/\/[^/]+$/, '').replace(/\/virtio-backend$/, '');
  return controller !== '' && (await readTextProperty(qmp, controller, 'iothread')) !== '';
}
