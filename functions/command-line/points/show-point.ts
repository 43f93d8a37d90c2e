import type { PointDisk, RestorePoint } from '#vault/format/point.ts';
import { auditWords, consistencyWords, readingWords } from '../backup/backup-words.ts';
import { plainText } from '../text/plain-text.ts';
import { formatCount, formatSize } from '../text/sizes.ts';
import { formatFields } from '../text/table.ts';
import { formatAge, formatTime } from '../text/times.ts';

/** All that the vault knows of a restore point, for people. */
export function describePoint(point: RestorePoint, now: Date): string[] {
  const taken = new Date(point.takenAt);
  const disks = formatCount(point.disks.length, 'disk');
  return [
    `Restore point ${point.id}`,
    ...formatFields([
      ['group', point.group],
      ['taken', `${formatTime(taken)} (${formatAge(taken, now)})`],
      ['disks', disks],
    ]),
    ...point.disks.flatMap((disk) => ['', `Disk ${plainText(disk.name)}`, ...describeDisk(disk)]),
  ];
}

function describeDisk(disk: PointDisk): string[] {
  return formatFields([
    ['size', formatSize(disk.diskSize)],
    ['source', disk.origin],
    ['read', readingWords(disk.base, disk.fullReason)],
    ['changed', `${formatSize(disk.changedBytes)}, of which ${formatSize(disk.newBytes)} new to the vault`],
    ['stored', formatSize(disk.storedBytes)],
    ['consistency', consistencyWords(disk)],
    ['bitmap audit', auditWords(disk.assurance, disk.base)],
    ['manifest', disk.manifest],
  ]);
}
