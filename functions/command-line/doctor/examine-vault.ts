import type { OpenRun, VaultState } from '#vault/journal/state.ts';
import { Folder } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { standingHolds } from '../holds/standing-holds.ts';
import { plainText } from '../text/plain-text.ts';
import { formatCount, formatSize } from '../text/sizes.ts';
import { formatAge, formatTime } from '../text/times.ts';
import { isGone, thisProcess } from '../this-process.ts';
import type { Finding } from './finding.ts';

/** A journal that was folded from its first entry is whole. */
export function journalFinding({ position, points }: VaultState): Finding {
  const found = `whole: ${formatCount(position, 'entry', 'entries')}, ${formatCount(points.size, 'restore point')}`;
  return { subject: 'journal', verdict: 'ok', found };
}

/** How many keys open the vault, and since when its newest one is in force. */
export function keysFinding({ epochs, recipients }: VaultState, now = new Date()): Finding {
  const newest = epochs.at(-1);
  const began = newest === undefined ? '' : `, begun ${formatAge(new Date(newest.at), now)}`;
  const opens = recipients.size === 1 ? 'key opens' : 'keys open';
  const found = `${recipients.size} ${opens} the vault; key epoch ${newest?.epoch ?? 1}${began}`;
  return { subject: 'keys', verdict: 'ok', found };
}

export function escrowFinding({ escrow }: VaultState): Finding {
  const subject = 'escrow';
  if (escrow === 'confirmed') return { subject, verdict: 'ok', found: 'confirmed' };
  if (escrow === 'waived') {
    return { subject, verdict: 'note', found: 'waived: if the key file is lost, all backups are. Keep copies of it.' };
  }
  const found = 'not confirmed: the vault takes no backup';
  return { subject, verdict: 'wrong', found, advice: 'Type its code back with `ekko escrow`.' };
}

/** Each open run: under way, dead, or unknown. */
export function runFindings({ openRuns }: VaultState, now = new Date()): Finding[] {
  if (openRuns.size === 0) return [{ subject: 'open runs', verdict: 'ok', found: 'none' }];
  return [...openRuns.values()].map((run) => runFinding(run, now));
}

function runFinding(run: OpenRun, now: Date): Finding {
  const began = formatAge(new Date(run.at), now);
  const found = `${run.run} of group ${plainText(run.group, 60)} on ${plainText(run.host, 60)}, begun ${began}`;
  const subject = 'open run';
  if (isGone(run)) {
    const advice = 'Nothing is lost: the next backup of this group clears it away.';
    return { subject, verdict: 'note', found: `${found}: its process is gone`, advice };
  }
  if (run.host === thisProcess().host) return { subject, verdict: 'ok', found: `${found}: its process lives` };
  return { subject, verdict: 'note', found: `${found}: whether it lives cannot be seen from here` };
}

/** Each hold for reading whose process is gone; the others are nobody's worry. */
export function holdFindings(state: VaultState): Finding[] {
  const stale = standingHolds(state).filter((hold) => hold.stale);
  return stale.map(({ name, points, host, at }) => ({
    subject: 'hold',
    verdict: 'note',
    found: `${name} of ${formatTime(new Date(at))} on ${plainText(host, 60)} keeps ${plainText(points.join(', '), 200)}: its process is gone`,
    advice: 'Nothing is lost: the next backup, restore or sweep on this host releases it, or `ekko release`.',
  }));
}

/** Staged parts and receipts that belong to no open run. */
export async function leftOverFinding(store: ObjectStore, { openRuns }: VaultState): Promise<Omit<Finding, 'subject'>> {
  let [objects, bytes] = [0, 0];
  for (const folder of [Folder.staging, Folder.receipts]) {
    for await (const { key, size } of store.list(folder)) {
      if (openRuns.has(key.split('/')[1] ?? '')) continue;
      objects++;
      bytes += size;
    }
  }
  if (objects === 0) return { verdict: 'ok', found: 'none' };
  const found = `${formatCount(objects, 'object')} of runs that have ended, ${formatSize(bytes)}`;
  return { verdict: 'note', found, advice: 'They do no harm but take space.' };
}
