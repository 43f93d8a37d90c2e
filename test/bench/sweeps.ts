import { join } from 'node:path';
import { checkout } from '../setup/cache.ts';
import type { EkkoVault } from './ekko.ts';
import { type Lab, measureOnce } from './lab.ts';
import { type Measured, measure } from './process.ts';
import { below, type Row, shown } from './row.ts';

const POINTS = 200;
/** Segments: 62 MiB to 61 GiB of disk. */
const SIZES = [1_000, 10_000, 100_000, 1_000_000];
const CHANGED_SHARE = 0.01;
const EXPIRED = 20;
const LIMIT = 512 * 2 ** 20;

interface Swept {
  readonly measured: Measured;
  readonly packs: number;
  readonly requests: number;
  readonly removed: number;
}

/**
 * Sweeps of ever larger vaults with 200 points of one disk, each 1 % different from the one before: the first sweep reads all pages,
 * one after points have expired removes what only they needed, and one after that finds nothing to do.
 */
export async function sweepRows(lab: Lab): Promise<Row[]> {
  const rows: Row[] = [];
  for (const segments of SIZES) rows.push(...(await rowsOf(lab, segments)));
  return rows;
}

async function rowsOf(lab: Lab, segments: number): Promise<Row[]> {
  const name = `sweep.${segments}-segments`;
  const folder = join(lab.folder, `ekko-sweep-${segments}`);
  const repository = await lab.ekko.create(folder);
  await script('make-history.ts', repository, segments, POINTS, Math.round(segments * CHANGED_SHARE));
  const first = await sweep(lab, `${name}: first`, repository);
  await script('expire-points.ts', repository, EXPIRED);
  const removing = await sweep(lab, `${name}: ${EXPIRED} points expired`, repository);
  const idle = await sweep(lab, `${name}: nothing to do`, repository);
  await repository.remove();
  const peak = Math.max(...[first, removing, idle].map(({ measured }) => measured.peakBytes));
  return [
    ...Object.entries({ first, removing, idle }).flatMap(([which, swept]) => [
      shown(`${name}.${which}.wall`, swept.measured.seconds, 's'),
      shown(`${name}.${which}.requests`, swept.requests, 'requests'),
      shown(`${name}.${which}.per-1000-packs`, (swept.requests / swept.packs) * 1000, 'requests'),
    ]),
    shown(`${name}.packs`, first.packs, 'packs'),
    shown(`${name}.removed`, removing.removed, 'packs'),
    below(`${name}.memory`, peak, 'B', LIMIT),
  ];
}

function script(name: string, { vault, keyFile }: EkkoVault, ...numbers: readonly number[]): Promise<Measured> {
  const args = [join(import.meta.dirname, name), vault, keyFile, ...numbers.map(String)];
  return measure({ program: process.execPath, args });
}

async function sweep(lab: Lab, what: string, { vault, keyFile }: EkkoVault): Promise<Swept> {
  const program = join(checkout, 'functions/command-line/bin/ekko');
  const measured = await measureOnce(lab, what, () =>
    measure({ program, args: ['sweep', vault, '--grace', '0', '--json'], env: { EKKO_KEY_FILE: keyFile } }),
  );
  const { packs, requests, removed } = JSON.parse(measured.output) as {
    packs: number;
    requests: Record<string, number>;
    removed: { packs: { objects: number } };
  };
  const all = Object.values(requests).reduce((sum, count) => sum + count, 0);
  return { measured, packs, requests: all, removed: removed.packs.objects };
}
