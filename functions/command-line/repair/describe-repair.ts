import type { RecoveredPack } from '../../verifier/recover-packs.ts';
import { firstLines } from '../text/first-lines.ts';
import { plainText } from '../text/plain-text.ts';
import { formatCount, formatNumber } from '../text/sizes.ts';
import { describeFindings } from '../verify/describe-verify.ts';
import type { RepairReport } from './repair.ts';

/** What was put back, from where, what was not, and what to do about that. */
export function describeRepair({ dryRun, uncovered, objects, packs, ...report }: RepairReport): string[] {
  const { unneeded, faults, damaged, findings } = report;
  const done = [
    ...uncovered.map(({ key, outcome }) => `${UNCOVERED[outcome]}  ${key}`),
    ...objects.map(({ key, outcome }) => `${WORDS[outcome]}  ${key}`),
    ...packs.flatMap(packLines),
  ];
  return [
    ...(done.length === 0 && damaged === 0 ? ['Nothing is damaged or missing.'] : firstLines(done, 'object')),
    ...(dryRun ? [] : vouchedLines(packs)),
    ...(unneeded.length === 0 ? [] : [unneededLine(unneeded.length)]),
    ...(faults.length === 0
      ? []
      : ['What was read from could not be read everywhere:', ...firstLines(faults.map(faultLine), 'fault')]),
    ...(damaged === 0 ? [] : ['', ...describeFindings(findings, damaged)]),
  ];
}

const UNCOVERED = {
  uncovered: 'uncovered ',
  covered: 'put on top',
  covering: 'is covered',
  lost: 'no version',
} as const;
const WORDS = { repaired: 'put back  ', repairable: 'could be  ', left: 'not there ' } as const;
const PACK_WORDS = { recovered: 'recovered ', partly: 'partly    ', lost: 'not found ', moved: 'not again ' } as const;

function packLines({ key, outcome, needed, kept, found, lost }: RecoveredPack): string[] {
  if (outcome === 'moved')
    return [`${PACK_WORDS.moved}  ${key}  segments were moved out of it before, and it cannot be moved twice`];
  const missing = lost.reduce((sum, { count }) => sum + count, 0);
  const parts = [
    `${formatNumber(kept)} intact`,
    `${formatNumber(found)} found elsewhere`,
    ...(missing === 0 ? [] : [`${formatNumber(missing)} lost`]),
  ];
  return [`${PACK_WORDS[outcome]}  ${key}  ${formatCount(needed, 'segment')}: ${parts.join(', ')}`];
}

function vouchedLines(packs: readonly RecoveredPack[]): string[] {
  const vouched = packs.reduce((sum, each) => sum + each.vouched, 0);
  if (vouched === 0) return [];
  return [
    `${formatCount(vouched, 'segment')} could not be compared with their ids, for these are lost with the pack: ` +
      'the key of the copy alone vouches for them.',
  ];
}

function unneededLine(count: number): string {
  return `${formatCount(count, 'damaged object')} that no restore point needs ${count === 1 ? 'goes' : 'go'} with the next \`ekko sweep\`.`;
}

function faultLine(message: string): string {
  return `  ${plainText(message, 280)}`;
}
