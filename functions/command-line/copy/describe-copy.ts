import { plainText } from '../text/plain-text.ts';
import { formatCount, formatSize } from '../text/sizes.ts';
import { formatTable } from '../text/table.ts';
import { formatTime } from '../text/times.ts';
import type { CopiedPoint } from './copy-points.ts';
import type { CopyOutcome } from './copy-vault.ts';

/** What was copied, what was not and why. */
export function describeCopy(outcome: CopyOutcome): string[] {
  if (outcome.kind === 'points') return describePoints(outcome.points);
  const { objects, bytes, entries, damaged } = outcome;
  const copied = `Copied ${formatCount(objects, 'object')} (${formatSize(bytes)}) and ${formatCount(entries, 'journal entry', 'journal entries')}.`;
  if (damaged.length === 0) return [copied, 'The replica is complete. The same key opens it.'];
  const left = `${formatCount(damaged.length, 'object')} of the source ${damaged.length === 1 ? 'is' : 'are'} damaged and were not copied:`;
  return [copied, left, ...damaged.map((key) => `  ${key}`), 'Verify the source with `ekko verify`.'];
}

function describePoints(points: readonly CopiedPoint[]): string[] {
  if (points.length === 0) return ['There is nothing to copy: every restore point is there already.'];
  const rows = points.map((point) => [
    point.run,
    point.group,
    formatTime(new Date(point.takenAt)).slice(0, 16),
    ...becameOf(point),
  ]);
  const failed = points.filter(({ outcome }) => outcome === 'failed').length;
  const advice = `${formatCount(failed, 'point')} could not be copied: verify the source with \`ekko verify\`.`;
  return [...formatTable(COLUMNS, rows), ...(failed > 0 ? [advice] : [])];
}

const COLUMNS = [
  { title: 'POINT' },
  { title: 'GROUP' },
  { title: 'TAKEN' },
  { title: 'READ', align: 'right' },
  { title: 'COPIED AS', widest: 300 },
] as const;

function becameOf(point: CopiedPoint): [read: string, outcome: string] {
  if (point.outcome === 'copied') return [formatSize(point.readBytes), point.point.id];
  return ['', point.outcome === 'wanted' ? 'would be copied' : `NOT: ${plainText(point.message, 280)}`];
}
