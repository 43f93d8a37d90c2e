import type { Vault } from '#vault/vault.ts';
import { lockMs } from '#vault/words.ts';
import { earliestEnd } from '../../sweeper/extend-locks.ts';
import { readLocked } from '../../sweeper/locked-objects.ts';
import { listNotes } from '../../sweeper/sweep-notes.ts';
import { lockedTally } from '../../sweeper/sweep-report.ts';
import { coveredObjects } from '../../verifier/uncover-objects.ts';
import { formatCount, formatSize } from '../text/sizes.ts';
import { formatTime } from '../text/times.ts';
import { type Finding, findingOf } from './finding.ts';

/** Of a locked vault: until when it is locked, what its locks keep that is needed no more, and whether somebody laid anything over it. */
export async function examineLocks(vault: Vault, now = new Date()): Promise<Finding[]> {
  const { lock } = vault.description;
  if (lock === undefined) return [];
  if (vault.store.locking === undefined) return [NOT_HERE];
  return [
    endFinding(earliestEnd(vault.journal.state(), lock), lockMs(lock), now),
    await findingOf('kept by locks', () => waitingFinding(vault, now)),
    await findingOf('versions', () => coveredFinding(vault)),
  ];
}

const NOT_HERE: Finding = {
  subject: 'locks',
  verdict: 'note',
  found: 'the vault is locked where it was made; this replica of it is not',
};

function endFinding(end: number, whole: number, now: Date): Finding {
  const subject = 'locks';
  const left = end - now.getTime();
  const until = formatTime(new Date(end));
  const advice = 'Sweep the vault, or run `ekko extend-locks`, each day.';
  if (left <= 0) return { subject, verdict: 'wrong', found: `some have ended since ${until}`, advice };
  const found = `all that is needed is locked until ${until}`;
  // They are extended when half of the time is left.
  return left < whole / 3 ? { subject, verdict: 'note', found, advice } : { subject, verdict: 'ok', found };
}

async function waitingFinding(vault: Vault, now: Date): Promise<Omit<Finding, 'subject'>> {
  const noted = await readLocked(vault, await listNotes(vault));
  const { objects, bytes, until } = lockedTally(noted.filter((group) => Date.parse(group.until) > now.getTime()));
  if (until === undefined) return { verdict: 'ok', found: 'nothing that the last sweep would have removed' };
  const what = `${formatCount(objects, 'object')}, ${formatSize(bytes)}, that nothing needs any more`;
  return { verdict: 'ok', found: `${what}; the last goes after ${formatTime(new Date(until))}` };
}

/** Each of many versions is read until one is found that should not be there; then they are only counted. */
async function coveredFinding({ store: { locking } }: Vault): Promise<Omit<Finding, 'subject'>> {
  let several = 0;
  let covered: string | undefined;
  if (locking !== undefined) {
    for await (const object of coveredObjects(locking)) {
      several++;
      if (covered === undefined && !(await locking.isOnTop(object))) covered = object.key;
    }
  }
  if (several === 0) return { verdict: 'ok', found: 'each object has one' };
  const counted = formatCount(several, 'object has', 'objects have');
  if (covered === undefined) return { verdict: 'note', found: `${counted} several, the right one on top` };
  return {
    verdict: 'wrong',
    found: `${counted} others over the right one, or are hidden, as ${covered}`,
    advice: UNCOVER,
  };
}

const UNCOVER =
  'Somebody who may write here did that: take the right from him, then run `ekko repair VAULT`. What is locked lies below.';
