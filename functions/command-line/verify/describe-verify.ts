import type { AffectedDisk, EmptiedPack, Finding } from '../../verifier/report.ts';
import { formatCount, formatSize } from '../text/sizes.ts';
import { formatFields } from '../text/table.ts';
import { formatDuration } from '../text/times.ts';
import type { VerifyOutcome } from './verify.ts';

/** What was checked, what is wrong, what that costs, and what to do. */
export function describeVerify(outcome: VerifyOutcome, keyless: boolean): string[] {
  const { objects, bytes, segments, points, seconds, findings, emptied, repaired = [] } = outcome;
  const opened = keyless ? [] : [formatCount(segments, 'segment'), formatCount(points, 'restore point')];
  const checked = [`${formatCount(objects, 'object')} (${formatSize(bytes)})`, ...opened].join(', ');
  const whole =
    repaired.length === 0 ? [] : [`${formatCount(repaired.length, 'object')} that had been damaged: whole again.`];
  const heading = [`Checked ${checked} in ${formatDuration(seconds)}.`, ...whole, ...emptied.map(emptiedLine)];
  if (findings.length === 0) return [...heading, wellIn(outcome, keyless)];
  const count = formatCount(findings.length, 'object is', 'objects are');
  return [...heading, `${count} damaged or missing:`, ...findings.flatMap(describeFinding)];
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
export function describeFinding({ object, message, affects, advice }: Finding): string[] {
  const costs = affects.length === 0 ? [] : costsOf(affects);
  const found = message.startsWith(`${object} `) ? message.slice(object.length + 1) : message;
  return ['', object, ...formatFields([['found', found], ...costs, ['to do', advice]])];
}

const MOST_DISKS = 10;

/** A line a point and disk: how much, and where it begins. */
function costsOf(affects: readonly AffectedDisk[]): [label: string, value: string][] {
  const places = [...Map.groupBy(affects, ({ point, disk }) => `${point}/${disk}`)];
  const lines = places.slice(0, MOST_DISKS).map(([place, ranges]): [string, string] => {
    const lost = ranges.reduce((sum, { length }) => sum + length, 0);
    return ['costs', `${formatSize(lost)} of ${place}, from byte ${ranges[0]?.offset ?? 0} on`];
  });
  const more = places.length - MOST_DISKS;
  return more > 0 ? [...lines, ['costs', `and of ${formatCount(more, 'disk')} more: see --json`]] : lines;
}
