import { EkkoError } from '#vault/errors.ts';
import type { RetentionPolicy } from '#vault/journal/entries.ts';
import type { VaultState } from '#vault/journal/state.ts';
import { timedPoint } from '../../retention/point-times.ts';
import { policyOf } from '../../retention/policy-in-force.ts';
import { policyText, readPolicy } from '../../retention/policy-text.ts';
import { MOST_SIMULATED, scheduled, simulate } from '../../retention/simulate.ts';
import { readDuration } from '../arguments/read-duration.ts';
import { plainText } from '../text/plain-text.ts';
import { formatCount } from '../text/sizes.ts';
import { formatFields, formatTable } from '../text/table.ts';
import { formatTime } from '../text/times.ts';
import { keepingWords } from './explain-point.ts';
import { groupsUnder } from './set-policy.ts';

export interface Trial {
  readonly group: string | undefined;
  /** Rules to try, as people write them; undefined: those in force. */
  readonly rules: string | undefined;
  /** A made-up future: how often and how long. */
  readonly every: string | undefined;
  readonly duration: string | undefined;
  readonly now: Date;
}

/** What a policy would have made of the points of a group, and would make of a made-up future. */
export interface TriedPolicy {
  readonly group: string;
  readonly policy: string;
  readonly points: { readonly past: number; readonly madeUp: number };
  /** What stands at the end, in commit order. Made-up points are called `+1`, `+2`, … */
  readonly stands: readonly { readonly id: string; readonly takenAt: string; readonly keptBy: readonly string[] }[];
  readonly byRule: Readonly<Record<string, number>>;
  /** The most points that ever stood at once. */
  readonly most: number;
}

/**
 * Tries a policy on what the journal remembers of each group: points that stand, and deleted ones that are not gone for good. Changes
 * nothing. Throws `bad-input` for rules or times that cannot be meant, and for a group that has no policy to try.
 */
export function tryPolicy(state: VaultState, trial: Trial): TriedPolicy[] {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const given = trial.rules === undefined ? undefined : readPolicy(trial.rules, timeZone);
  const groups = groupsUnder(state, trial.group);
  return (groups.length > 0 ? groups : ['default']).map((group) => tryOn(state, group, given, trial));
}

function tryOn(state: VaultState, group: string, given: RetentionPolicy | undefined, trial: Trial): TriedPolicy {
  const policy = given ?? policyOf(state, group, trial.now.getTime())?.policy;
  if (policy === undefined) {
    throw new EkkoError(
      'bad-input',
      `Group "${plainText(group, 60)}" has no policy. Try one by --set RULES --simulate.`,
    );
  }
  const past = [...state.points.values(), ...state.expired.values()]
    .filter((point) => point.group === group)
    .sort((a, b) => a.position - b.position)
    .map(timedPoint);
  const future = madeUp(trial);
  const { stands, byRule, most } = simulate([...past, ...future], policy);
  return {
    group,
    policy: policyText(policy),
    points: { past: past.length, madeUp: future.length },
    stands: stands.map(({ run, time, keptBy }) => ({
      id: run,
      takenAt: new Date(time).toISOString(),
      keptBy: keptBy.map((keeping) => keepingWords(keeping, policy.timeZone)),
    })),
    byRule,
    most,
  };
}

const HOUR_MS = 3_600_000;

function madeUp({ every, duration, now }: Trial) {
  if (every === undefined && duration === undefined) return [];
  const everyMs = readDuration(every ?? '1d', '--every') * HOUR_MS;
  const forMs = readDuration(duration ?? '400d', '--for') * HOUR_MS;
  if (everyMs > 0 && forMs / everyMs <= MOST_SIMULATED) return scheduled({ from: now.getTime(), everyMs, forMs });
  throw new EkkoError('bad-input', `--every and --for make at most ${MOST_SIMULATED} points: choose a longer --every.`);
}

export function describeTrial({ group, policy, points, stands, byRule, most }: TriedPolicy): string[] {
  const { past, madeUp } = points;
  const taken = madeUp === 0 ? formatCount(past, 'point') : `${formatCount(past, 'point')} and ${madeUp} made up`;
  const counts = Object.entries(byRule).map(([rule, count]) => `${rule} ${count}`);
  const rows = stands.map(({ id, takenAt, keptBy }) => [
    id,
    formatTime(new Date(takenAt)).slice(0, 16),
    keptBy.join(', '),
  ]);
  return [
    `Group ${plainText(group, 60)} under ${policy}:`,
    ...formatFields([
      ['taken', taken],
      ['at the end', `${formatCount(stands.length, 'point')}: ${counts.join(', ')}`],
      ['at most', `${formatCount(most, 'point')} at once`],
    ]),
    '',
    ...(rows.length === 0 ? [] : formatTable(COLUMNS, rows)),
  ];
}

const COLUMNS = [{ title: 'POINT' }, { title: 'TAKEN' }, { title: 'KEPT BY', widest: 120 }] as const;
