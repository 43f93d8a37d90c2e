import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BareLoop } from './bare-loop.ts';
import type { EkkoVault } from './ekko.ts';
import { type Lab, measureOnce, settle, type Trial } from './lab.ts';
import { type Measured, measure } from './process.ts';
import type { Peer, Repository } from './repository.ts';

/** The label of the first backup in every repository. */
export const FIRST = 'first';

export interface FirstBackups {
  readonly ekko: Trial<EkkoVault>;
  readonly peers: readonly Trial[];
  readonly bareLoop: BareLoop[];
  /** A compressed qcow2, neither encrypted nor deduplicated. */
  readonly qemuImg: { readonly measured: Measured; readonly storedBytes: number } | undefined;
}

/** Backs the image up with every program in turn, as often as wanted, each time into a new repository; the last ones stay. */
export async function firstBackups(lab: Lab): Promise<FirstBackups> {
  const { bareLoop, ...backups } = await makeFirst(lab, 0);
  for (let run = 1; run < lab.runs; run++) {
    const { ekko, peers, bareLoop: loops } = await makeFirst(lab, run);
    bareLoop.push(...loops);
    for (const [old, fresh] of [[backups.ekko, ekko] as const, ...zip(backups.peers, peers)]) {
      old.measured.push(...fresh.measured);
      await fresh.repository.remove();
    }
  }
  return { ...backups, bareLoop, qemuImg: lab.qemuImg ? await compressWithQemuImg(lab) : undefined };
}

function zip<T>(left: readonly T[], right: readonly T[]): [T, T][] {
  return left.flatMap((one, i) => right.slice(i, i + 1).map((other): [T, T] => [one, other]));
}

/** The loop runs before and after Ekko: some minutes later a machine may be faster or slower by a quarter. */
async function makeFirst(lab: Lab, run: number): Promise<Omit<FirstBackups, 'qemuImg'>> {
  const folder = (peer: Peer) => join(lab.folder, `${peer.name}-${run}`);
  const before = await runBareLoop(lab);
  const ekko = await backUpFirst(lab, await lab.ekko.create(folder(lab.ekko)));
  const after = await runBareLoop(lab);
  const peers: Trial[] = [];
  for (const peer of lab.peers) peers.push(await backUpFirst(lab, await peer.create(folder(peer))));
  return { ekko, peers, bareLoop: [before, after] };
}

async function backUpFirst<R extends Repository>(lab: Lab, repository: R): Promise<Trial<R>> {
  const before = await repository.stored();
  const measured = await measureOnce(lab, `${repository.name}: full backup`, () =>
    repository.backUp(FIRST, lab.image.path),
  );
  return { repository, measured: [measured], storedBytes: (await repository.stored()) - before };
}

async function runBareLoop(lab: Lab): Promise<BareLoop> {
  await settle();
  const program = join(import.meta.dirname, 'bare-loop.ts');
  const { output } = await measure({ program: process.execPath, args: [program, lab.image.path] });
  const loop = JSON.parse(output) as BareLoop;
  lab.say(`bare loop: ${loop.seconds.toFixed(2)} s, CPU ${loop.cpuSeconds.toFixed(2)} s`);
  return loop;
}

async function compressWithQemuImg(lab: Lab): Promise<FirstBackups['qemuImg']> {
  const target = join(lab.folder, 'compressed.qcow2');
  const options = ['-f', 'raw', '-O', 'qcow2', '-c', '-o', 'compression_type=zstd', '-W', '-m', '8'];
  const measured = await measureOnce(lab, 'qemu-img: compressed qcow2', () =>
    measure({ program: 'qemu-img', args: ['convert', ...options, lab.image.path, target] }),
  );
  const { size: storedBytes } = await stat(target);
  await rm(target);
  return { measured, storedBytes };
}
