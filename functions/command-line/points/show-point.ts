import type { PointDisk, RestorePoint } from '#vault/format/point.ts';
import type { VaultState } from '#vault/journal/state.ts';
import { auditWords, consistencyWords, readingWords } from '../backup/backup-words.ts';
import { type StandingHold, standingHolds } from '../holds/standing-holds.ts';
import { plainText } from '../text/plain-text.ts';
import { formatCount, formatSize } from '../text/sizes.ts';
import { formatFields } from '../text/table.ts';
import { formatAge, formatTime } from '../text/times.ts';
import { type DeletedPoint, listDeleted } from './list-deleted.ts';
import { describeTopology } from './topology-words.ts';

/** What the journal has decided of a point since it was committed. */
export interface PointStanding {
  readonly holds: readonly StandingHold[];
  /** Undefined where it is not deleted. */
  readonly deleted: DeletedPoint | undefined;
}

export function standingOf(state: VaultState, run: string): PointStanding {
  const holds = standingHolds(state).filter(({ points }) => points.includes(run));
  return { holds, deleted: listDeleted(state).find(({ id }) => id === run) };
}

function deletedWords({ deletedAt, reason, goesAt }: DeletedPoint): string {
  const until =
    goesAt === undefined ? 'while it is held' : `until ${formatTime(new Date(goesAt)).slice(0, 16)} at least`;
  return `${formatTime(new Date(deletedAt)).slice(0, 16)}, ${reason}; can be brought back ${until}`;
}

/** All that the vault knows of a restore point, for people. */
export function describePoint(point: RestorePoint, standing: PointStanding, now: Date): string[] {
  const taken = new Date(point.takenAt);
  const disks = formatCount(point.disks.length, 'disk');
  return [
    `Restore point ${point.id}`,
    ...formatFields([
      ['group', point.group],
      ['taken', `${formatTime(taken)} (${formatAge(taken, now)})`],
      ['disks', disks],
      ...standing.holds.map(({ name, reason }): [string, string] => ['held by', `${name}: ${reason}`]),
      ['DELETED', standing.deleted === undefined ? undefined : deletedWords(standing.deleted)],
    ]),
    ...(point.topology === undefined ? [] : describeTopology(point.topology)),
    ...point.disks.flatMap((disk) => ['', `Disk ${plainText(disk.name)}`, ...describeDisk(disk)]),
  ];
}

function describeDisk(disk: PointDisk): string[] {
  return formatFields([
    ['size', formatSize(disk.diskSize)],
    ['source', disk.origin],
    ['read', readingWords(disk)],
    ['changed', `${formatSize(disk.changedBytes)}, of which ${formatSize(disk.newBytes)} new to the vault`],
    ['stored', formatSize(disk.storedBytes)],
    ['consistency', consistencyWords(disk)],
    ['bitmap audit', auditWords(disk.assurance, disk.base)],
    ['manifest', disk.manifest],
  ]);
}
