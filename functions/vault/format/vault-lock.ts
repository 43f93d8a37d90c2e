import { EkkoError } from '../errors.ts';
import { LOCK_MODES, MOST_LOCK_DAYS, type VaultLock } from '../words.ts';

/** The `lock` of `vault.json`. Throws `bad-format` naming `what`. */
export function readLock(value: unknown, what: string): VaultLock {
  const { mode, days, ...rest } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const known = LOCK_MODES.find((each) => each === mode);
  const right = typeof days === 'number' && days > 0 && days <= MOST_LOCK_DAYS;
  if (known !== undefined && right && Object.keys(rest).length === 0) return { mode: known, days };
  throw new EkkoError(
    'bad-format',
    `${what} is not one that this Ekko knows: it has a mode (${LOCK_MODES.join(', ')}) and up to ${MOST_LOCK_DAYS} days.`,
  );
}
