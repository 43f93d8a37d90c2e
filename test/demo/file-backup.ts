import { randomBytes } from 'node:crypto';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BackupReport, backup, ekko } from './ekko.ts';
import { say, showTable } from './report.ts';

const SIZE = 64 * 1024 * 1024;

/** The same story on an image file, where there is no QEMU: full, changed, again, restored, compared. */
export async function showFileBackup(folder: string): Promise<void> {
  const disk = join(folder, 'disk.img');
  const keyFile = join(folder, 'ekko.key');
  const vault = join(folder, 'vault');
  await writeFile(disk, randomBytes(SIZE));
  await ekko(keyFile, 'init', vault, '--no-escrow');
  const backups = new Map<string, BackupReport>();
  const images = new Map<string, Buffer>();
  for (const name of ['first', 'after 1 MiB of writes']) {
    say(`Backup: ${name}`);
    backups.set(name, await backup(keyFile, vault, disk));
    images.set(name, await readFile(disk));
    await writeSome(disk);
  }
  say('Restoring both points and comparing');
  for (const [name, report] of backups) {
    const target = join(folder, `${report.point.id}.raw`);
    await ekko(keyFile, 'restore', vault, report.point.id, target, '--json');
    if (!(await readFile(target)).equals(images.get(name) ?? Buffer.alloc(0)))
      throw new Error(`${name} was not restored as it was.`);
    console.log(`  ${name}: identical`);
  }
  showTable(backups);
}

async function writeSome(disk: string): Promise<void> {
  const file = await open(disk, 'r+');
  await file.write(randomBytes(1024 * 1024), 0, 1024 * 1024, 10 * 1024 * 1024);
  await file.close();
}
