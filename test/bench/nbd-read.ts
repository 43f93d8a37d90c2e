import { existsSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Lab } from './lab.ts';
import { measure, start, stop } from './process.ts';
import { randomBytesOf } from './random-writes.ts';
import { atLeast, median, type Row, shown } from './row.ts';

const LARGEST = 2 * 2 ** 30;
const BLOCK = 2 ** 20;
const ROUNDS = 5;
const IN_FLIGHT = 4;
const REQUEST = 2 * 2 ** 20;

export interface NbdReads {
  readonly bytes: number;
  /** Seconds, from the connection to its end, without the start of Node. */
  readonly ours: readonly number[];
  /** Seconds of the whole process, which starts in no time. */
  readonly nbdcopy: readonly number[];
}

/** Reads one export with both clients in turn. */
export async function readByNbd(lab: Lab): Promise<NbdReads> {
  const bytes = Math.min(LARGEST, lab.image.size);
  const image = join(lab.folder, 'random.img');
  await fillRandomly(image, bytes);
  const socket = join(lab.folder, 'nbd');
  const server = start({
    program: 'qemu-nbd',
    args: ['--read-only', '--format=raw', '--persistent', '--shared=4', '--socket', socket, image],
  });
  while (!existsSync(socket)) await pause(20);
  const [ours, nbdcopy]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(await readWithOurs(socket));
    nbdcopy.push(await readWithNbdcopy(socket));
  }
  lab.say(`NBD: ours ${listOf(ours)} s, nbdcopy ${listOf(nbdcopy)} s`);
  await stop(server);
  await rm(image);
  return { bytes, ours, nbdcopy };
}

async function fillRandomly(path: string, length: number): Promise<void> {
  await using file = await open(path, 'w');
  for (let at = 0; at < length; at += BLOCK) {
    await file.write(randomBytesOf(Buffer.alloc(32, `block ${at} `), Math.min(BLOCK, length - at)));
  }
}

async function readWithOurs(socket: string): Promise<number> {
  const program = join(import.meta.dirname, 'nbd-reader.ts');
  const args = [program, socket, String(IN_FLIGHT), String(REQUEST)];
  return Number((await measure({ program: process.execPath, args })).output);
}

async function readWithNbdcopy(socket: string): Promise<number> {
  const options = ['--connections=1', `--requests=${IN_FLIGHT}`, `--request-size=${REQUEST}`];
  const { seconds } = await measure({
    program: 'nbdcopy',
    args: [...options, `nbd+unix:///?socket=${socket}`, 'null:'],
  });
  return seconds;
}

function listOf(seconds: readonly number[]): string {
  return seconds.map((each) => each.toFixed(2)).join(' ');
}

export function nbdRows({ bytes, ours, nbdcopy }: NbdReads): Row[] {
  return [
    shown('nbd-read.speed', bytes / median(ours), 'B/s'),
    shown('nbd-read.nbdcopy.speed', bytes / median(nbdcopy), 'B/s'),
    atLeast('nbd-read.of-nbdcopy', median(nbdcopy) / median(ours), 'x', 0.9),
  ];
}
