import type { DiskPlan, HeldMoment } from '#vault/staging/changed-block-source.ts';
import { SEGMENT_SIZE, type SegmentRun } from '#vault/words.ts';
import type { Progress } from '../progress/progress.ts';
import type { BackupWatch } from '../run-backup.ts';
import type { Screen } from '../screen.ts';
import { plainText } from '../text/plain-text.ts';
import { formatCount, formatSize } from '../text/sizes.ts';
import { formatTable } from '../text/table.ts';
import { readingWords } from './backup-words.ts';

/** Shows a backup as it goes: what will be read and why, then how far it is. */
export function watchBackup(screen: Screen, progress: Progress): BackupWatch & { readBytes(): number } {
  let [done, total] = [0, 0];
  return {
    readBytes: () => done,
    planned(moment, totalBytes, group) {
      [done, total] = [0, totalBytes];
      screen.lines(...describePlan(moment, group));
      progress.update(done, total);
    },
    read(bytes) {
      done += bytes;
      progress.update(done, total);
    },
    staged: () => progress.phase('finishing'),
    remark: (message) => screen.remark(message),
    distrusted: (message) => screen.remark(`${message} Reading everything now.`),
  };
}

/** A line a disk: its size, what will be read of it, and why. */
export function describePlan({ plans }: Pick<HeldMoment, 'plans'>, group: string): string[] {
  const rows = plans.map((plan) => ['', plan.disk.name, formatSize(plan.disk.size), toRead(plan)]);
  const [, ...lines] = formatTable(
    [{ title: '' }, { title: '' }, { title: '', align: 'right' }, { title: '', widest: 300 }],
    rows,
  );
  return [`Backing up ${formatCount(plans.length, 'disk')} of group ${plainText(group)}:`, ...lines];
}

function toRead(plan: DiskPlan): string {
  const { data, audit } = plan;
  const audited = audit.length === 0 ? '' : `, ${formatSize(bytesOf(audit))} to audit`;
  return `${formatSize(bytesOf(data))} to read${audited} (${readingWords(plan)})`;
}

function bytesOf(runs: readonly SegmentRun[]): number {
  return runs.reduce((sum, { count }) => sum + count, 0) * SEGMENT_SIZE;
}
