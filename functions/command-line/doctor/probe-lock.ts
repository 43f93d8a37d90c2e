import type { LockProbe } from '#vault/store/object-locking.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import type { LockMode } from '#vault/words.ts';
import { type Finding, findingOf } from './finding.ts';

/** Locks a scratch object, and looks whether the lock holds. */
export function probeLock({ locking, url }: ObjectStore, mode: LockMode): Promise<Finding> {
  return findingOf('lock', async () => {
    if (locking === undefined) return { verdict: 'wrong', found: `${url} is no store that locks objects` };
    return judge(await locking.probe(mode), mode);
  });
}

function judge({ refused, readBack, failures, bypassed }: LockProbe, mode: LockMode): Omit<Finding, 'subject'> {
  if (refused !== undefined) return { verdict: 'wrong', found: `takes no locked object: ${refused}`, advice: NO_LOCK };
  const broken = [
    ...(readBack ? [] : ['its lock cannot be read back']),
    ...failures.map((failure) => `it could be ${failure} all the same`),
  ];
  if (broken.length > 0)
    return { verdict: 'wrong', found: `the store took a locked object, but ${broken.join(' and ')}`, advice: LIES };
  if (bypassed) return { verdict: 'wrong', found: 'these credentials can lift a governance lock', advice: BYPASSED };
  return { verdict: 'ok', found: `${mode}: read back, and neither shortened nor removed, whatever was tried` };
}

const NO_LOCK =
  'Make a bucket with Object Lock, as in `aws s3api create-bucket --bucket NAME --object-lock-enabled-for-bucket`.';
const LIES = 'This store keeps no locks: keep the vault elsewhere, or make it without --lock.';
const BYPASSED =
  'Whoever has them can remove every backup. Take the right s3:BypassGovernanceRetention from them, or say --lock-mode compliance.';
