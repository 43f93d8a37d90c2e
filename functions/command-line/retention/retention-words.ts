import { plainText } from '../text/plain-text.ts';
import { formatCount } from '../text/sizes.ts';
import { formatTable } from '../text/table.ts';
import { formatTime } from '../text/times.ts';
import type { ExplainedPoint } from './explain-point.ts';
import type { GroupOverview, RetainReport } from './retain.ts';

/** What was set, what it makes of the points of each group, and what was deleted. */
export function describeRetention(vault: string, report: RetainReport, explain: boolean, now: Date): string[] {
  const { groups, applied } = report;
  return [
    ...describeSet(report),
    ...(groups.length === 0 ? ['There is no restore point yet.'] : formatTable(COLUMNS, groups.map(rowOf))),
    ...groups.flatMap(describeWait),
    ...(explain ? groups.flatMap((group) => describePoints(group, now)) : []),
    '',
    ...(applied === undefined ? describePlan(vault, report) : describeApplied(vault, report)),
  ];
}

function describeSet({ set, dryRun }: RetainReport): string[] {
  if (set === undefined) return [];
  const whose = set.group === undefined ? 'all groups without one of their own' : `group ${plainText(set.group, 60)}`;
  const more = set.more.length === 0 ? 'no point' : formatCount(set.more.length, 'point');
  return [
    `The policy of ${whose} ${dryRun ? 'would be' : 'is'} now ${set.policy}.`,
    `Of the points that there are, it deletes ${more} more than what was in force before.`,
    '',
  ];
}

const COLUMNS = [
  { title: 'GROUP' },
  { title: 'POLICY', widest: 100 },
  { title: 'POINTS', align: 'right' },
  { title: 'STAY', align: 'right' },
  { title: 'GO', align: 'right' },
] as const;

function rowOf({ group, policy, own, points, going }: GroupOverview): string[] {
  const words = policy === undefined ? 'none: all are kept' : `${policy}${own ? '' : ' (of all groups)'}`;
  return [group, words, ...[points.length, points.length - going.length, going.length].map(String)];
}

function describeWait({ group, waitsUntil }: GroupOverview): string[] {
  if (waitsUntil === undefined) return [];
  const until = formatTime(new Date(waitsUntil)).slice(0, 16);
  return [
    '',
    `The policy of group ${plainText(group, 60)} was changed: until ${until} what was kept before stays too.`,
    'Set it again with --confirm to let it begin at once.',
  ];
}

function describePoints({ group, points }: GroupOverview, now: Date): string[] {
  const rows = points.map((point) => [
    point.id,
    formatTime(new Date(point.takenAt)).slice(0, 16),
    point.keptBy.join(', ') || '-',
    goesWords(point, now),
  ]);
  return ['', `Group ${plainText(group, 60)}:`, ...formatTable(POINT_COLUMNS, rows)];
}

const POINT_COLUMNS = [
  { title: 'POINT' },
  { title: 'TAKEN' },
  { title: 'KEPT BY', widest: 100 },
  { title: 'GOES', widest: 120 },
] as const;

function goesWords({ stays, heldBy, goesNotBefore, goesAfter }: ExplainedPoint, now: Date): string {
  if (!stays) return 'now, with --apply';
  if (heldBy.length > 0) return `not while held by ${heldBy.join(', ')}`;
  if (goesNotBefore === undefined) return 'not while things are as they are';
  const after = `after ${goesAfter.join(' and ')}`;
  const earliest = new Date(goesNotBefore);
  return earliest > now ? `${after}, ${formatTime(earliest).slice(0, 16)} at the earliest` : after;
}

function describePlan(vault: string, { groups, dryRun, set }: RetainReport): string[] {
  const going = groups.reduce((sum, group) => sum + group.going.length, 0);
  const stopped = groups.flatMap((group) => stoppedWords(group.group, group.tooMany));
  if (dryRun && set !== undefined) return [...stopped, 'Nothing was changed.'];
  if (going === 0) return ['Nothing is to be deleted.'];
  return [...stopped, `Nothing was deleted. \`ekko retention ${plainText(vault, 200)} --apply\` deletes what goes.`];
}

function describeApplied(vault: string, { applied, dryRun }: RetainReport): string[] {
  const groups = applied?.groups ?? [];
  const expired = groups.flatMap((group) => group.expired);
  const stopped = groups.flatMap((group) => stoppedWords(group.group, group.stopped));
  if (expired.length === 0) return stopped.length > 0 ? stopped : ['Nothing is to be deleted.'];
  const count = formatCount(expired.length, 'point');
  if (dryRun) return [...stopped, `${count} would be deleted: ${listed(expired)}. Nothing was changed.`];
  return [
    ...stopped,
    `${count} ${expired.length === 1 ? 'is' : 'are'} deleted: ${listed(expired)}.`,
    `\`ekko undelete ${plainText(vault, 200)} POINT\` brings back; \`ekko points --deleted\` says until when.`,
  ];
}

function stoppedWords(group: string, tooMany: GroupOverview['tooMany']): string[] {
  if (tooMany === undefined) return [];
  return [
    `Of group ${plainText(group, 60)} ${tooMany.going} of the ${tooMany.old} points that are older than a week would go at once.`,
    'That is more than goes unasked: nothing of this group is deleted. Look at it with --explain; --apply --confirm deletes.',
  ];
}

const MOST_LISTED = 10;

function listed(ids: readonly string[]): string {
  const more = ids.length - MOST_LISTED;
  return ids.slice(0, MOST_LISTED).join(', ') + (more > 0 ? `, and ${more} more` : '');
}
