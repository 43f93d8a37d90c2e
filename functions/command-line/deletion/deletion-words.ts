import { plainText } from '../text/plain-text.ts';
import { formatCount, formatSize } from '../text/sizes.ts';
import { formatTime } from '../text/times.ts';
import type { DeletionReport } from './delete-points.ts';
import type { UndeletionReport } from './undelete-points.ts';

export function describeDeletion(vault: string, { dryRun, points, freed, recoverableUntil }: DeletionReport): string[] {
  const count = formatCount(points.length, 'restore point');
  const until = formatTime(new Date(recoverableUntil)).slice(0, 16);
  return [
    `${count} ${dryRun ? 'would be' : points.length === 1 ? 'is' : 'are'} deleted:`,
    ...points.map(pointLine),
    freed === undefined
      ? 'What that frees would take long to find out: `ekko sweep --dry-run` tells.'
      : `That frees ${formatSize(freed.bytes)} (${formatCount(freed.objects, 'object')}) when ${points.length === 1 ? 'its' : 'their'} time of grace is over.`,
    dryRun
      ? `Nothing was changed. Deleted now, they could be brought back until ${until}.`
      : `Until ${until} at least, \`ekko undelete ${plainText(vault, 200)} POINT\` brings back what was deleted.`,
  ];
}

export function describeUndeletion(vault: string, { points }: UndeletionReport): string[] {
  const again = points.filter(({ goesAgain }) => goesAgain);
  const held = `ekko hold ${plainText(vault, 200)} ${again.map(({ id }) => id).join(' ')} --reason …`;
  return [
    `${formatCount(points.length, 'restore point')} ${points.length === 1 ? 'is' : 'are'} back:`,
    ...points.map(pointLine),
    ...(again.length === 0
      ? []
      : [`No retention rule keeps ${again.length} of them: the next run deletes them again, unless you \`${held}\`.`]),
  ];
}

function pointLine({ id, group, takenAt }: DeletionReport['points'][number]): string {
  return `  ${id}  ${plainText(group, 60)}, taken ${formatTime(new Date(takenAt)).slice(0, 16)}`;
}
