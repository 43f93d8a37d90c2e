import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { checkout } from '../setup/cache.ts';
import { bytesIn } from './disk-usage.ts';
import { type Measured, measure } from './process.ts';
import type { Peer, Repository } from './repository.ts';

/** A vault, used through the command line as everybody does: whole processes are measured. */
export interface EkkoVault extends Repository {
  readonly name: 'ekko';
  readonly vault: string;
  readonly keyFile: string;
  /** Backs up an image as the disk `disk`. */
  backUpAs(disk: string, image: string): Promise<Measured>;
  /** Backs up all disks of a running QEMU. */
  backUpGuest(qmpSocket: string): Promise<Measured>;
  /** Restores the newest point of a disk, or of the only one there is, to a raw file. */
  restoreTo(target: string, disk?: string): Promise<Measured>;
}

export interface Ekko extends Peer {
  readonly name: 'ekko';
  create(folder: string): Promise<EkkoVault>;
}

/** The program that the package installs. */
export async function findEkko(): Promise<Ekko> {
  const text = await readFile(join(checkout, 'package.json'), 'utf8');
  const { version, bin } = JSON.parse(text) as { version: string; bin: { ekko: string } };
  return {
    name: 'ekko',
    version: `ekko ${version}`,
    create: (folder) => createVault(join(checkout, bin.ekko), folder),
  };
}

async function createVault(program: string, folder: string): Promise<EkkoVault> {
  await mkdir(join(folder, 'scratch'), { recursive: true });
  const [vault, keyFile] = [join(folder, 'vault'), join(folder, 'key')];
  const env = { EKKO_KEY_FILE: keyFile };
  const ekko = (...args: readonly string[]) => measure({ program, args: [...args, '--json'], env });
  await ekko('init', vault, '--no-escrow');
  const backUpAs = (disk: string, image: string) => ekko('backup', vault, `${disk}=${image}`);
  const restoreTo = (target: string, disk?: string) =>
    ekko('restore', vault, disk === undefined ? 'latest' : `latest/${disk}`, target);
  return {
    ...{ name: 'ekko', folder, vault, keyFile, backUpAs, restoreTo },
    backUp: backUpAs,
    backUpGuest: (qmpSocket) => ekko('backup', vault, '--qmp', qmpSocket, '--scratch', join(folder, 'scratch')),
    async restore(label, _image, target) {
      const file = join(target, 'disk.img');
      return { ...(await restoreTo(file, label)), file };
    },
    stored: () => bytesIn(vault),
    remove: () => rm(folder, { recursive: true }),
  };
}
