import { plainText } from '../text/plain-text.ts';
import { formatCount } from '../text/sizes.ts';
import { formatTable } from '../text/table.ts';
import { formatTime } from '../text/times.ts';
import type { StandingHold } from './standing-holds.ts';

/** The holds as a table; nothing where there are none. */
export function describeHolds(holds: readonly StandingHold[]): string[] {
  if (holds.length === 0) return [];
  const stale = holds.filter((hold) => hold.stale);
  const advice = `${formatCount(stale.length, 'hold')} for reading ${stale.length === 1 ? 'is' : 'are'} of a process that is gone: the next backup, restore or sweep on that host clears them away.`;
  return [...formatTable(COLUMNS, holds.map(rowOf)), ...(stale.length > 0 ? ['', advice] : [])];
}

const COLUMNS = [
  { title: 'HOLD' },
  { title: 'KIND' },
  { title: 'POINTS', widest: 60 },
  { title: 'SINCE' },
  { title: 'HOST' },
  { title: 'REASON', widest: 60 },
] as const;

function rowOf({ name, kind, points, reason, host, at, stale }: StandingHold): string[] {
  const kindWords = kind === 'legal' ? 'legal' : stale ? 'read, stale' : 'read';
  return [name, kindWords, pointWords(points), formatTime(new Date(at)).slice(0, 16), host, reason];
}

const MOST_POINTS = 2;

/** `20261120-191503-7c1e9a, … +3` */
export function pointWords(points: readonly string[], most = MOST_POINTS): string {
  const more = points.length - most;
  return plainText(points.slice(0, most).join(', ')) + (more > 0 ? ` +${more}` : '');
}
