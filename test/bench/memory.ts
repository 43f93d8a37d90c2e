import type { FirstBackups } from './first-backups.ts';
import type { Incrementals } from './incrementals.ts';
import type { LargeDisk } from './large-disk.ts';
import type { Measured } from './process.ts';
import type { Restores } from './restores.ts';
import { atMost, below, type Row, shown } from './row.ts';

const LIMIT = 512 * 2 ** 20;
/** About the same, whatever the size of the disk. */
const MOST_GROWTH = 1.25;

/** Largest resident set of any process, over all that was measured. */
export function memoryRows(
  first: FirstBackups,
  restores: Restores,
  large: LargeDisk,
  incremental: Incrementals,
): Row[] {
  return [
    limited('full', first.ekko.measured),
    limited('full-through-qemu', [incremental.full]),
    limited('incremental', incremental.ekko.measured),
    limited('restore', restores.ekko.measured),
    limited('1-tib.full', [large.full]),
    atMost('memory.1-tib.full-of-image', large.full.peakBytes / incremental.full.peakBytes, 'x', MOST_GROWTH),
    limited('1-tib.empty-commit', large.empty),
    limited('1-tib.restore', [large.restore]),
    ...first.peers.map(({ repository, measured }) => shown(`memory.${repository.name}.full`, peakOf(measured), 'B')),
  ];
}

function limited(name: string, measured: readonly Measured[]): Row {
  return below(`memory.${name}`, peakOf(measured), 'B', LIMIT);
}

function peakOf(measured: readonly Measured[]): number {
  return Math.max(...measured.map(({ peakBytes }) => peakBytes));
}
