import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { warm } from './disk-usage.ts';
import { FIRST, type FirstBackups } from './first-backups.ts';
import { secondsOf } from './full.ts';
import { type Lab, measureOnce } from './lab.ts';
import type { Measured } from './process.ts';
import type { Repository } from './repository.ts';
import { atLeast, type Row, shown } from './row.ts';
import { sha256Of } from './slices.ts';

/** How much faster Ekko has to be. */
const GOALS: Readonly<Record<string, number>> = { restic: 1.5, borg: 1.2 };

export interface Restores {
  readonly ekko: Restore;
  readonly peers: readonly Restore[];
}

interface Restore {
  readonly name: Repository['name'];
  readonly measured: readonly Measured[];
}

/** Restores the first backup with every program in turn, and compares what comes out. */
export async function restoreFirst(lab: Lab, { ekko, peers }: FirstBackups): Promise<Restores> {
  const trials = [ekko, ...peers].map(({ repository }) => ({ repository, measured: [] as Measured[] }));
  for (let run = 0; run < lab.runs; run++) {
    for (const { repository, measured } of trials) measured.push(await restoreOnce(lab, repository));
  }
  const [own, ...others] = trials.map(({ repository: { name }, measured }) => ({ name, measured }));
  if (own === undefined) throw new Error('Ekko is always restored.');
  return { ekko: own, peers: others };
}

async function restoreOnce(lab: Lab, repository: Repository): Promise<Measured> {
  const { image } = lab;
  const target = join(lab.folder, 'restored');
  await mkdir(target);
  // Some programs write past the page cache: all are to read from it.
  await warm(repository.folder);
  const restored = await measureOnce(lab, `${repository.name}: restore`, () =>
    repository.restore(FIRST, image.path, target),
  );
  if ((await sha256Of(restored.file)) !== image.sha256) {
    throw new Error(`${repository.name} restored something else than was backed up.`);
  }
  await rm(target, { recursive: true });
  return restored;
}

export function restoreRows({ ekko, peers }: Restores): Row[] {
  return [
    shown('restore.wall', secondsOf(ekko), 's'),
    ...peers.flatMap((peer) => [
      shown(`restore.${peer.name}.wall`, secondsOf(peer), 's'),
      atLeast(`restore.times-faster-than-${peer.name}`, secondsOf(peer) / secondsOf(ekko), 'x', GOALS[peer.name] ?? 1),
    ]),
  ];
}
