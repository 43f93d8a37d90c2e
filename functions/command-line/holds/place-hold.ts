import { randomBytes } from 'node:crypto';
import { EkkoError } from '#vault/errors.ts';
import { LONGEST_REASON } from '#vault/journal/entries.ts';
import type { Hold } from '#vault/journal/state.ts';
import { newRunId } from '#vault/store/object-names.ts';
import type { Vault } from '#vault/vault.ts';
import { checkName } from '../arguments/check-name.ts';
import { selectPoints } from '../arguments/select-points.ts';
import { plainText } from '../text/plain-text.ts';
import { thisProcess } from '../this-process.ts';

export interface HoldRequest {
  /** As people name points. */
  readonly points: readonly string[];
  readonly reason: string;
  /** Undefined: one is made up. */
  readonly name: string | undefined;
}

/** Places a legal hold: its points cannot expire until it is released. Throws `bad-input`, `point-unknown`, and what the journal throws. */
export async function placeHold({ journal }: Pick<Vault, 'journal'>, request: HoldRequest, now: Date): Promise<Hold> {
  const name = request.name === undefined ? newHoldName('hold', now) : checkName(request.name, 'The hold name');
  const reason = checkReason(request.reason);
  const { holds } = await journal.append((state) => {
    if (state.holds.has(name)) {
      throw new EkkoError('bad-input', `There is a hold "${plainText(name, 60)}" already. Choose another name.`);
    }
    const points = selectPoints(state, request.points).map(({ run }) => run);
    const { host } = thisProcess();
    return { type: 'hold-placed', hold: name, kind: 'legal', points, reason, host, at: now.toISOString() };
  });
  const placed = holds.get(name);
  if (placed !== undefined) return placed;
  throw new EkkoError('busy', `Hold "${plainText(name, 60)}" was placed, and released by somebody else at once.`);
}

/** `read-20261120-191503-7c1e9a`: unique, and tells when. */
export function newHoldName(kind: string, now: Date): string {
  return `${kind}-${newRunId(now, randomBytes(3))}`;
}

/** A reason that an entry can carry: one line, not too long. Throws `bad-input`. */
export function checkReason(reason: string): string {
  const fits = reason.trim() !== '' && reason.length <= LONGEST_REASON;
  if (fits && reason.isWellFormed() && !/\p{Cc}/u.test(reason)) return reason;
  throw new EkkoError('bad-input', `The reason is one line of 1 to ${LONGEST_REASON} characters.`);
}
