import type { LivenessProblem } from '../../sweeper/liveness.ts';
import { SWEPT_KINDS, type SweepReport, type SweptKind } from '../../sweeper/sweep-report.ts';
import { describeExtension } from '../locks/extend-locks.ts';
import { plainText } from '../text/plain-text.ts';
import { formatCount, formatSize } from '../text/sizes.ts';
import { formatFields } from '../text/table.ts';
import { formatDuration, formatTime } from '../text/times.ts';
import type { SweepCommandReport } from './sweep.ts';

/** What went, what waits and why, and what stands in the way. */
export function describeSweep(report: SweepCommandReport): string[] {
  const { dryRun, points, problems } = report;
  return [
    heading(report),
    ...removedLines(report),
    ...(points.length === 0 ? [] : [`Points ${dryRun ? 'that would be gone' : 'gone'} for good:`]),
    ...points.map(({ run, group, takenAt }) => `  ${run}  ${plainText(group)}, taken ${takenAt}`),
    ...delayLines(report),
    ...waitingLines(report),
    ...lockedLines(report),
    ...(report.locks === undefined ? [] : describeExtension(report.locks)),
    ...abandonedLines(report),
    ...problemLines(problems, NOT_SWEPT),
    requestLine(report),
  ];
}

function heading({ dryRun, removed }: SweepReport): string {
  const tallies = Object.values(removed);
  const objects = tallies.reduce((sum, tally) => sum + tally.objects, 0);
  const bytes = tallies.reduce((sum, tally) => sum + tally.bytes, 0);
  if (objects === 0) return 'There is nothing to remove.';
  return `${dryRun ? 'Would remove' : 'Removed'} ${formatCount(objects, 'object')}, ${formatSize(bytes)}.`;
}

const LABELS: Readonly<Record<SweptKind, string>> = {
  points: 'points',
  manifests: 'manifests',
  pages: 'pages',
  moves: 'moves',
  packs: 'packs',
  staging: 'staged parts of ended runs',
  receipts: 'receipts of ended runs',
  states: 'older state snapshots',
  samples: 'dedupe samples',
};

function removedLines({ removed }: SweepReport): string[] {
  const fields = SWEPT_KINDS.filter((kind) => removed[kind].objects > 0).map((kind): [string, string] => {
    const { objects, bytes } = removed[kind];
    return [
      LABELS[kind],
      bytes === 0 ? formatCount(objects, 'object') : `${formatCount(objects, 'object')}, ${formatSize(bytes)}`,
    ];
  });
  return formatFields(fields);
}

const DELAYS = {
  grace: 'can still be brought back: their time of grace is not over',
  held: 'are kept by a hold',
  run: 'wait for runs that were open when they expired',
} as const;

function delayLines({ delayed }: SweepReport): string[] {
  return (['grace', 'held', 'run'] as const).flatMap((delay) => {
    const count = delayed.filter((point) => point.delay === delay).length;
    return count === 0 ? [] : [`${formatCount(count, 'expired point')} ${DELAYS[delay]}.`];
  });
}

function waitingLines({ waiting }: SweepReport): string[] {
  if (waiting.objects === 0) return [];
  const what = `${formatCount(waiting.objects, 'object')} (${formatSize(waiting.bytes)})`;
  return [`${what} may be needed by ${formatCount(waiting.runs.length, 'open run')}, and wait until they have ended.`];
}

export function lockedLines({ locked: { objects, bytes, from, until } }: Pick<SweepReport, 'locked'>): string[] {
  if (objects === 0 || from === undefined || until === undefined) return [];
  const what = `${formatCount(objects, 'object')} (${formatSize(bytes)})`;
  const [first, last] = [formatTime(new Date(from)), formatTime(new Date(until))];
  const ends = first === last ? `until ${first}` : `the first until ${first}, the last until ${last}`;
  return [`${what} are needed no more, but locked ${ends}: a later sweep removes them.`];
}

function abandonedLines({ abandoned, dryRun }: SweepCommandReport): string[] {
  if (abandoned.length === 0) return [];
  return [`${dryRun ? 'Would give up' : 'Gave up'} ${formatCount(abandoned.length, 'run')}: ${abandoned.join(', ')}.`];
}

const NOT_SWEPT =
  'What these need is not known, so no page, move or pack was removed. Verify the vault and repair it first:';
const MOST_PROBLEMS = 10;

export function problemLines(problems: readonly LivenessProblem[], consequence: string): string[] {
  if (problems.length === 0) return [];
  const shown = problems.slice(0, MOST_PROBLEMS).map(({ message }) => `  ${message}`);
  const more = problems.length - shown.length;
  return [consequence, ...shown, ...(more > 0 ? [`  and ${formatCount(more, 'more object')}: see --json`] : [])];
}

export function requestLine({
  requests,
  requestsPerThousandPacks: perThousand,
  packs,
  seconds,
}: Pick<SweepCommandReport, 'requests' | 'requestsPerThousandPacks' | 'packs' | 'seconds'>): string {
  const count = Object.values(requests).reduce((sum, each) => sum + each, 0);
  // Of a small vault it would tell nothing.
  const each =
    perThousand === undefined || packs < 1000 ? '' : ` (${formatCount(perThousand, 'request')} for each 1,000 packs)`;
  return `${formatCount(count, 'request')}${each} in ${formatDuration(seconds)}.`;
}
