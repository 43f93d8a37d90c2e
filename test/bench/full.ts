import type { FirstBackups } from './first-backups.ts';
import type { Image } from './input.ts';
import type { Trial } from './lab.ts';
import type { Measured } from './process.ts';
import { atLeast, atMost, median, type Row, shown } from './row.ts';

/** The first backup of an image file, from the start of the program to the committed point. */
export function fullRows({ ekko, peers, bareLoop, qemuImg }: FirstBackups, image: Image): Row[] {
  const seconds = secondsOf(ekko);
  const loop = { seconds: secondsOf({ measured: bareLoop }), cpuSeconds: cpuOf({ measured: bareLoop }) };
  const restic = peers.find(({ repository }) => repository.name === 'restic');
  return [
    shown('full.data', image.dataBytes, 'B'),
    shown('full.wall', seconds, 's'),
    shown('full.cpu', cpuOf(ekko), 's'),
    shown('full.speed', image.dataBytes / seconds, 'B/s'),
    ...(restic ? [atMost('full.of-restic', seconds / secondsOf(restic), 'x', 0.6)] : []),
    atLeast('full.of-bare-loop', (loop.seconds / seconds) * 100, '%', 75),
    shown('full.bare-loop.wall', loop.seconds, 's'),
    shown('full.bare-loop.cpu', loop.cpuSeconds, 's'),
    shown('full.stored', ekko.storedBytes, 'B'),
    ...peers.flatMap(peerRows),
    ...(qemuImg
      ? [
          shown('full.qemu-img.wall', qemuImg.measured.seconds, 's'),
          shown('full.qemu-img.stored', qemuImg.storedBytes, 'B'),
        ]
      : []),
  ];
}

function peerRows(trial: Trial): Row[] {
  const { name } = trial.repository;
  return [
    shown(`full.${name}.wall`, secondsOf(trial), 's'),
    shown(`full.${name}.cpu`, cpuOf(trial), 's'),
    shown(`full.${name}.stored`, trial.storedBytes, 'B'),
  ];
}

export function secondsOf({ measured }: { readonly measured: readonly Pick<Measured, 'seconds'>[] }): number {
  return median(measured.map(({ seconds }) => seconds));
}

function cpuOf({ measured }: { readonly measured: readonly Pick<Measured, 'cpuSeconds'>[] }): number {
  return median(measured.map(({ cpuSeconds }) => cpuSeconds));
}
