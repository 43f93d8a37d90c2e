import { join } from 'node:path';
import { connectQmp } from '../../host-exporter/qemu/qmp-client.ts';
import { buildGuest, type GuestImage } from '../guest/build-guest.ts';
import { createDisks } from '../guest/disks.ts';
import type { Guest } from '../guest/guest.ts';
import { runTool } from '../guest/run-tool.ts';
import { type GuestDisk, startGuest } from '../guest/start-guest.ts';
import { type BackupReport, backup, ekko } from './ekko.ts';
import { say, showTable } from './report.ts';

interface Scene {
  readonly folder: string;
  readonly keyFile: string;
  readonly vault: string;
  readonly image: GuestImage;
  readonly guest: Guest;
  readonly disks: readonly GuestDisk[];
}

/** Boots a guest of two disks, backs it up three times while it lives, restores every point, compares, and boots what was restored. */
export async function showGuestBackup(folder: string): Promise<void> {
  say('Making a small Linux guest with two disks: a qcow2 overlay on a base image, and a plain one');
  const image = await buildGuest();
  const disks = await createDisks(image, folder);
  await using guest = await startGuest({ image, directory: folder, disks });
  console.log(`  It runs (${guest.accelerator === 'kvm' ? 'KVM' : 'emulated: KVM does not work here'}).`);
  const scene = { folder, keyFile: join(folder, 'ekko.key'), vault: join(folder, 'vault'), image, guest, disks };
  await ekko(scene.keyFile, 'init', scene.vault, '--no-escrow');

  const backups = new Map<string, BackupReport>();
  say(
    'First backup: everything is read. The guest stands still meanwhile, so that the images can be compared afterwards',
  );
  backups.set('full', await backUpPaused(scene, 'full'));
  say('The guest writes; second backup: only what changed is read');
  await write(scene, 'second', 4);
  backups.set('incremental', await backUpPaused(scene, 'incremental'));
  say('The guest goes on writing while the third is taken; its agent makes the file systems still for a moment');
  backups.set('while it writes', await backUpWriting(scene));
  const sums = await checksums(guest);
  await guest.shutdown();

  say('Restoring the first two points and comparing every bit with what the disks were');
  for (const name of ['full', 'incremental']) await compare(scene, name, backups.get(name));
  say('Restoring the third, and booting it');
  await bootRestored(scene, backups.get('while it writes'), sums);
  showTable(backups);
}

async function write({ guest }: Scene, name: string, mib: number): Promise<void> {
  await guest.check(
    `for d in /root /mnt/vdb; do dd if=/dev/urandom of=$d/${name} bs=1M count=${mib} 2>/dev/null; done; sync`,
  );
}

/** With the processors stopped, the disks are the same before, during and after the backup. */
async function backUpPaused(scene: Scene, name: string): Promise<BackupReport> {
  const { guest, disks, folder, keyFile, vault } = scene;
  await guest.check('sync');
  await tell(guest, 'stop');
  for (const [i, disk] of disks.entries()) {
    await runTool('qemu-img', [
      'convert',
      '-U',
      '-f',
      disk.format,
      '-O',
      'raw',
      disk.path,
      join(folder, `${name}-${i}.raw`),
    ]);
  }
  const report = await backup(keyFile, vault, '--qmp', guest.sockets.qmp, '--scratch', folder);
  await tell(guest, 'cont');
  return report;
}

async function backUpWriting({ guest, keyFile, vault, folder }: Scene): Promise<BackupReport> {
  const writing = 'i=0; while [ ! -e /tmp/enough ]; do i=$((i+1)); echo $i >> /mnt/vdb/log; echo $i >> /root/log; done';
  await guest.check(`rm -f /tmp/enough; (${writing}) > /dev/null 2>&1 &`);
  await guest.check('echo kept > /root/kept; echo kept > /mnt/vdb/kept; sync');
  const { qmp, agent } = guest.sockets;
  const report = await backup(
    keyFile,
    vault,
    '--qmp',
    qmp,
    '--agent',
    agent,
    '--quiesce',
    'require',
    '--scratch',
    folder,
  );
  await guest.check('touch /tmp/enough');
  return report;
}

async function tell(guest: Guest, command: 'stop' | 'cont'): Promise<void> {
  const qmp = await connectQmp(guest.sockets.qmp);
  await qmp.execute(command);
  await qmp.close();
}

const SUMS = 'cd / && sha256sum /root/second /root/kept /mnt/vdb/second /mnt/vdb/kept';

async function checksums(guest: Guest): Promise<string> {
  return guest.check(SUMS);
}

async function compare(
  { folder, keyFile, vault, disks }: Scene,
  name: string,
  report: BackupReport | undefined,
): Promise<void> {
  if (report === undefined) throw new Error(`There was no ${name} backup.`);
  for (const [i] of disks.entries()) {
    const disk = report.point.disks[i]?.name ?? '';
    const target = join(folder, `${name}-${i}-restored.raw`);
    await ekko(keyFile, 'restore', vault, `${report.point.id}/${disk}`, target, '--json');
    await runTool('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', join(folder, `${name}-${i}.raw`), target]);
    console.log(`  ${disk}: identical`);
  }
}

async function bootRestored(
  { folder, keyFile, vault, disks, image }: Scene,
  report: BackupReport | undefined,
  sums: string,
): Promise<void> {
  const restored: GuestDisk[] = [];
  for (const [i] of disks.entries()) {
    const path = join(folder, `booted-${i}.qcow2`);
    await ekko(keyFile, 'restore', vault, `${report?.point.id}/${report?.point.disks[i]?.name}`, path, '--json');
    restored.push({ path, format: 'qcow2' });
    await checkFileSystem(path);
  }
  await using guest = await startGuest({ image, directory: folder, disks: restored });
  if ((await checksums(guest)) !== sums)
    throw new Error('The restored guest has other files than the one that was backed up.');
  console.log('  It boots, and its files are the same.');
  await guest.shutdown();
}

/** A file system that was still at its moment needs no repair: e2fsck finds nothing to say. */
async function checkFileSystem(qcow2: string): Promise<void> {
  const raw = `${qcow2}.raw`;
  await runTool('qemu-img', ['convert', '-O', 'raw', qcow2, raw]);
  await runTool('e2fsck', ['-f', '-n', raw]);
  console.log('  e2fsck: clean');
}
