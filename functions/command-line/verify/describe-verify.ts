import type { Costs, EmptiedPack, Finding } from '../../verifier/report.ts';
import { firstLines } from '../text/first-lines.ts';
import { formatCount, formatSize } from '../text/sizes.ts';
import { formatFields } from '../text/table.ts';
import { formatDuration } from '../text/times.ts';
import type { VerifyOutcome } from './verify.ts';

/** What was checked, what is wrong, what that costs, and what to do. */
export function describeVerify(outcome: VerifyOutcome, keyless: boolean): string[] {
  const { objects, bytes, segments, points, seconds, damaged, findings, emptied, repaired = [] } = outcome;
  const opened = keyless ? [] : [formatCount(segments, 'segment'), formatCount(points, 'restore point')];
  const checked = [`${formatCount(objects, 'object')} (${formatSize(bytes)})`, ...opened].join(', ');
  const whole =
    repaired.length === 0 ? [] : [`${formatCount(repaired.length, 'object')} that had been damaged: whole again.`];
  const heading = [
    `Checked ${checked} in ${formatDuration(seconds)}.`,
    ...whole,
    ...firstLines(emptied.map(emptiedLine), 'object'),
  ];
  if (damaged === 0) return [...heading, wellIn(outcome, keyless)];
  return [...heading, ...describeFindings(findings, damaged)];
}

const MOST_FINDINGS = 1000;

/** The first of `damaged` objects, and how many more there are. */
export function describeFindings(findings: readonly Finding[], damaged: number): string[] {
  const told = findings.slice(0, MOST_FINDINGS);
  const more = damaged - told.length;
  const count = formatCount(damaged, 'object is', 'objects are');
  return [
    `${count} damaged or missing:`,
    ...told.flatMap(describeFinding),
    ...(more > 0 ? ['', `And ${formatCount(more, 'more object')}: see --json.`] : []),
  ];
}

function emptiedLine({ object }: EmptiedPack): string {
  return `Repaired: ${object} is damaged, but nothing needs it any more; it goes with the next \`ekko sweep\`.`;
}

function wellIn({ percent }: VerifyOutcome, keyless: boolean): string {
  if (percent < 100)
    return `${Number(percent.toFixed(1))} % of the vault was looked at, and is well. Repeat it to get round: what was looked at longest ago comes first.`;
  return keyless ? WELL_KEYLESS : WELL;
}

const WELL =
  'All is well: the journal is whole, every restore point is complete, every segment is the one its id says.';
const WELL_KEYLESS =
  'Every object has the bytes that its name says. Whether all that is needed is there, only the key can tell.';

/** One object, what is wrong with it, what that costs and what to do. */
function describeFinding({ object, message, advice, ...finding }: Finding): string[] {
  const found = message.startsWith(`${object} `) ? message.slice(object.length + 1) : message;
  return ['', object, ...formatFields([['found', found], ...costsOf(finding), ['to do', advice]])];
}

const MOST_DISKS = 10;

/** A line a point and disk: how much, and where it begins. */
function costsOf({ affects, costs }: Pick<Finding, 'affects' | 'costs'>): [label: string, value: string][] {
  const places = [...Map.groupBy(affects, ({ point, disk }) => `${point}/${disk}`)];
  // Where not all ranges are listed, some of the last disk may be wanting.
  const whole = affects.length < costs.ranges ? places.slice(0, -1) : places;
  const lines = whole.slice(0, MOST_DISKS).map(([place, ranges]): [string, string] => {
    const lost = ranges.reduce((sum, { length }) => sum + length, 0);
    return ['costs', `${formatSize(lost)} of ${place}, from byte ${ranges[0]?.offset ?? 0} on`];
  });
  return lines.length < costs.disks ? [...lines, ['in all', allOf(costs)]] : lines;
}

function allOf({ bytes, points }: Costs): string {
  return `${formatSize(bytes)} at ${formatCount(points, 'restore point')}: see --json`;
}
