import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { stopServices } from '../cloud/service.ts';
import type { BenchArguments } from './bench-arguments.ts';
import { checkRoom } from './disk-usage.ts';
import { findEkko } from './ekko.ts';
import { makeImage } from './input.ts';
import type { Lab } from './lab.ts';
import { findBorg, findRestic, versionOf } from './peers.ts';
import { endChildren } from './process.ts';
import { servicesOf } from './swift-store.ts';

/** Room that all measurements take together, in sizes of the image; the rest is for the large disk and for what is read by NBD. */
const ROOM_PER_SIZE = 3;
const ROOM = 6 * 2 ** 30;

/** The kernel takes 107 bytes for the path of a socket. */
const LONGEST_PATH = 80;

export interface OpenLab {
  readonly lab: Lab;
  /** Ends what still runs, and removes what was made unless it is to be kept. */
  close(): Promise<void>;
}

/** Finds the programs and makes the image, which takes a while. */
export async function openLab(wanted: BenchArguments, say: (line: string) => void): Promise<OpenLab> {
  const base = await makeBase(wanted);
  const folder = join(base, 'measured');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  const close = async () => {
    endChildren();
    if (existsSync(servicesOf(folder))) await stopServices(servicesOf(folder));
    if (wanted.keep) return say(`Everything is left in ${base}.`);
    await rm(wanted.folder === undefined ? base : folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await checkRoom(base, wanted.size * ROOM_PER_SIZE + ROOM);
    return { lab: { ...(await findPrograms(say)), ...(await findInput(base, wanted, say)), folder, say }, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function makeBase({ folder }: BenchArguments): Promise<string> {
  if (folder === undefined) return mkdtemp(join(tmpdir(), 'ekko-bench-'));
  const base = resolve(folder);
  if (base.length > LONGEST_PATH) throw new Error(`--folder ${base} is too long for sockets below it.`);
  await mkdir(base, { recursive: true });
  return base;
}

async function findPrograms(
  say: (line: string) => void,
): Promise<Pick<Lab, 'ekko' | 'peers' | 'qemuImg' | 'qemu' | 'nbdcopy'>> {
  const [restic, borg, qemuImg, qemu, nbdcopy] = await Promise.all([
    findRestic(),
    findBorg(),
    versionOf('qemu-img', '--version'),
    versionOf('qemu-system-x86_64', '--version'),
    versionOf('nbdcopy', '--version'),
  ]);
  const ekko = await findEkko();
  const peers = [restic, borg].filter((peer) => peer !== undefined);
  say([ekko.version, ...peers.map(({ version }) => version), qemuImg, nbdcopy].filter(Boolean).join(', '));
  for (const [name, found] of Object.entries({
    restic,
    borg,
    'qemu-img': qemuImg,
    'qemu-system-x86_64': qemu,
    nbdcopy,
  })) {
    if (found === undefined) say(`${name} is not installed: what is compared with it is left out.`);
  }
  return { ekko, peers, qemuImg: qemuImg !== undefined, qemu: qemu !== undefined, nbdcopy: nbdcopy !== undefined };
}

async function findInput(
  base: string,
  { size, runs, shortRuns }: BenchArguments,
  say: (line: string) => void,
): Promise<Pick<Lab, 'image' | 'runs' | 'shortRuns'>> {
  say('Making the image...');
  const image = await makeImage(base, size);
  const mebibytes = (bytes: number) => Math.round(bytes / 2 ** 20);
  say(`The image has ${mebibytes(size)} MiB, of which ${mebibytes(image.dataBytes)} are not zero.`);
  return { image, runs, shortRuns };
}
