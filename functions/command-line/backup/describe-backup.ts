import type { RestorePoint } from '#vault/format/point.ts';
import { totalsOf } from '../points/list-points.ts';
import { formatRate, formatRatio, formatSize } from '../text/sizes.ts';
import { formatFields } from '../text/table.ts';
import { formatDuration } from '../text/times.ts';
import type { BackupReport } from './back-up.ts';
import { auditWords, consistencyWords } from './backup-words.ts';

/** What was read, what came of it, and how far it can be trusted. */
export function describeBackup({ point, readBytes, seconds, requests }: BackupReport): string[] {
  const { changedBytes, newBytes, storedBytes } = totalsOf(point);
  const { create, get, list, remove } = requests;
  return [
    `Restore point ${point.id} is committed.`,
    ...formatFields([
      ['read', `${formatSize(readBytes)} in ${formatDuration(seconds)} (${formatRate(readBytes, seconds)})`],
      ['changed', formatSize(changedBytes)],
      ['new', newWords(changedBytes, newBytes)],
      ['stored', `${formatSize(storedBytes)} (${formatRatio(newBytes, storedBytes)})`],
      ['consistency', consistencyOf(point)],
      ['bitmap audit', auditOf(point)],
      ['requests', `${create} create, ${get} get, ${list} list, ${remove} remove, beside those of the functions`],
    ]),
  ];
}

function newWords(changedBytes: number, newBytes: number): string {
  if (changedBytes === newBytes) return formatSize(newBytes);
  return newBytes === 0 ? 'nothing: the vault had all of it' : `${formatSize(newBytes)}; the vault had the rest`;
}

/** The moment is one for all disks, and so is its consistency. */
function consistencyOf({ disks }: RestorePoint): string | undefined {
  const [first] = disks;
  return first && consistencyWords(first);
}

function auditOf({ disks }: RestorePoint): string | undefined {
  const bases = disks.map(({ base }) => base).filter((base) => base !== undefined);
  const auditedSegments = disks.reduce((sum, { assurance }) => sum + assurance.auditedSegments, 0);
  const auditFailures = disks.reduce((sum, { assurance }) => sum + assurance.auditFailures, 0);
  return auditWords({ auditedSegments, auditFailures }, bases[0]);
}
