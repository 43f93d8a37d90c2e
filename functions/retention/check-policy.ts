import { EkkoError } from '#vault/errors.ts';
import { checkEntry } from '#vault/journal/check-entry.ts';
import type { RetentionPolicy } from '#vault/journal/entries.ts';
import { openCalendar } from './periods.ts';

/** The policy if it can be meant: a rule that keeps something, counts that the journal allows, a time zone that there is. Throws `bad-input`. */
export function checkPolicy(policy: RetentionPolicy): RetentionPolicy {
  const { timeZone, ...counts } = policy;
  for (const [rule, count] of Object.entries(counts)) {
    if (Number.isSafeInteger(count) && count > 0) continue;
    throw new EkkoError(
      'bad-input',
      `The rule ${rule} of a retention policy keeps ${count}: leave it out, or give 1 or more.`,
    );
  }
  if (Object.keys(counts).length === 0) {
    throw new EkkoError(
      'bad-input',
      'A retention policy without a rule would keep nothing: give one at least, such as daily=7.',
    );
  }
  openCalendar(timeZone);
  return inBounds(policy);
}

function inBounds(policy: RetentionPolicy): RetentionPolicy {
  try {
    checkEntry({ type: 'retention-set', policy, confirmed: false, at: '2026-01-01T00:00:00Z' }, 'The retention policy');
    return policy;
  } catch (cause) {
    throw new EkkoError('bad-input', cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
