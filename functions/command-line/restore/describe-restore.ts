import { plainText } from '../text/plain-text.ts';
import { formatCount, formatRate, formatSize } from '../text/sizes.ts';
import { formatFields, formatTable } from '../text/table.ts';
import { formatDuration } from '../text/times.ts';
import type { RestoredDisk, RestoreReport } from './restore-point.ts';

/** What was restored to where, and what was not. */
export function describeRestore({ point, disks }: RestoreReport): string[] {
  return [`Restored from point ${point}:`, ...disks.flatMap(describeDisk), ...closingWords(disks)];
}

function describeDisk(disk: RestoredDisk): string[] {
  const { dataBytes, zeroBytes, seconds, requests, unreadable } = disk;
  const data = `${formatSize(dataBytes)} of data in ${formatDuration(seconds)} (${formatRate(dataBytes, seconds)})`;
  const lost = unreadable.reduce((sum, { length }) => sum + length, 0);
  return [
    '',
    `${plainText(disk.disk, 60)} -> ${disk.path}`,
    ...formatFields([
      ['disk', `${formatSize(disk.diskSize)}, ${disk.kind}`],
      [disk.resumed ? 'written now' : 'written', `${data}; ${formatSize(zeroBytes)} of zeros`],
      ['requests', String(requests)],
      ['NOT INTACT', lost === 0 ? undefined : `${formatSize(lost)}, zeros now in their place`],
    ]),
    ...describeLosses(disk),
  ];
}

const MOST_LOSSES = 20;

function describeLosses({ unreadable }: RestoredDisk): string[] {
  if (unreadable.length === 0) return [];
  const rows = unreadable
    .slice(0, MOST_LOSSES)
    .map(({ offset, length, object, reason }) => ['   ', String(offset), formatSize(length), object, reason]);
  const more = unreadable.length - MOST_LOSSES;
  const note = more > 0 ? [`     … and ${formatCount(more, 'more')}: see --json`] : [];
  return [...formatTable(COLUMNS, rows), ...note];
}

const COLUMNS = [
  { title: '' },
  { title: 'AT BYTE', align: 'right' },
  { title: 'LENGTH', align: 'right' },
  { title: 'OBJECT', widest: 80 },
  { title: 'BECAUSE', widest: 400 },
] as const;

function closingWords(disks: readonly RestoredDisk[]): string[] {
  if (disks.every(({ unreadable }) => unreadable.length === 0))
    return ['', 'Every segment was checked against its id.'];
  return ['', 'What could be read was checked against its id. Other points may hold the rest: see `ekko verify`.'];
}
