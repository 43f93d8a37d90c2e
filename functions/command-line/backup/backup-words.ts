import type { Assurance, PointDisk } from '#vault/format/point.ts';
import { digestInName } from '#vault/images.ts';
import { plainText } from '../text/plain-text.ts';
import { formatCount } from '../text/sizes.ts';
import { formatDuration } from '../text/times.ts';

/** Why everything is read. */
const REASONS: Readonly<Record<string, string>> = {
  'first-backup': 'the first backup of this disk',
  'no-bitmap-support': 'its source keeps no record of changes',
  'bitmap-missing': 'its dirty bitmap is missing',
  'bitmap-inconsistent': 'its dirty bitmap was not saved: QEMU ended hard',
  'bitmap-not-recording': 'its dirty bitmap had stopped recording',
  'bitmap-wrong-granularity': 'its dirty bitmap is too coarse',
  'bitmap-parent-unknown': 'its dirty bitmap counts from a restore point that the vault does not have',
  'disk-resized': 'the disk was resized',
  'bitmap-distrusted': 'the bitmap audit found changes that its dirty bitmap had missed',
  'no-common-point': 'the two vaults have no copied point in common',
  'asked-for': 'asked for',
};

/** `incremental since 20261120-…`, `full: the first backup of this disk`, or `what differs from its image 3f2a…: the first backup of this disk`. */
export function readingWords({
  base,
  baseDisk,
  fullReason,
}: Pick<PointDisk, 'base' | 'baseDisk' | 'fullReason'>): string {
  if (baseDisk !== undefined) {
    const digest = plainText(digestInName(baseDisk) ?? baseDisk, 12);
    return `what differs from its image ${digest}: ${REASONS[fullReason ?? ''] ?? fullReason}`;
  }
  if (base !== undefined) return `incremental since ${base}`;
  return fullReason === undefined ? 'full' : `full: ${REASONS[fullReason] ?? fullReason}`;
}

const CONSISTENCY = {
  application: 'application consistent',
  'file-system': 'file-system consistent',
  crash: 'crash consistent',
} as const;

/** `file-system consistent, frozen for 0.2 s`, or `crash consistent (no guest agent socket is configured)`. */
export function consistencyWords(moment: Pick<PointDisk, 'consistency' | 'consistencyNote' | 'frozenMs'>): string {
  const note = moment.consistencyNote === '' ? '' : ` (${moment.consistencyNote})`;
  const frozen = moment.frozenMs > 0 ? `, frozen for ${formatDuration(moment.frozenMs / 1000)}` : '';
  return `${CONSISTENCY[moment.consistency]}${frozen}${note}`;
}

/** What the audit of clean segments found; undefined where there was no bitmap to audit. */
export function auditWords(
  { auditedSegments, auditFailures }: Assurance,
  base: string | undefined,
): string | undefined {
  if (base === undefined && auditedSegments === 0) return undefined;
  if (auditedSegments === 0) return 'none';
  const compared = `${formatCount(auditedSegments, 'clean segment')} compared`;
  return auditFailures === 0 ? `${compared}, all unchanged` : `${compared}, ${auditFailures} HAD CHANGED`;
}
