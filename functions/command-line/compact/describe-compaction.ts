import { problemLines, requestLine } from '../sweep/describe-sweep.ts';
import { formatCount, formatNumber, formatSize } from '../text/sizes.ts';
import type { CompactCommandReport } from './compact.ts';

/** What was rewritten, what it is good for, and what comes next. */
export function describeCompaction(report: CompactCommandReport): string[] {
  const { packs, sparse, chosen, problems } = report;
  const found = `${formatCount(sparse.packs, 'sparse pack')} of ${formatNumber(packs)}`;
  const left = sparse.packs - chosen.packs;
  return [
    ...(sparse.packs === 0
      ? ['There is nothing to compact.']
      : [`Found ${found}: ${formatSize(sparse.bytes)}, of which about ${formatSize(sparse.gain)} can go.`]),
    ...(left > 0 ? [`${formatCount(left, 'pack')} beyond the limit are left for another time.`] : []),
    ...movedLines(report),
    ...problemLines(problems, NOT_MOVED),
    requestLine(report),
  ];
}

const NOT_MOVED =
  'These cannot be read; packs among them, and all packs if it is a page or manifest, were left as they are. Verify the vault:';

function movedLines({ dryRun, moved, chosen }: CompactCommandReport): string[] {
  if (dryRun) return chosen.packs === 0 ? [] : [`Would rewrite ${formatCount(chosen.packs, 'pack')}.`];
  if (moved.packs === 0) return [];
  const written = `${formatCount(moved.newPacks, 'new pack')}, ${formatSize(moved.newBytes)}`;
  return [
    `Rewrote ${formatCount(moved.packs, 'pack')}, ${formatSize(moved.bytes)}, as ${written}.`,
    'The old packs go with the next `ekko sweep`.',
  ];
}
