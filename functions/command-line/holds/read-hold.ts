import { codeOf } from '#vault/errors.ts';
import { placeReadHold, releaseReadHold } from '#vault/journal/read-holds.ts';
import type { Vault } from '#vault/vault.ts';
import type { Screen } from '../screen.ts';
import { thisProcess } from '../this-process.ts';
import { newHoldName } from './place-hold.ts';
import { releaseStaleHolds } from './release-hold.ts';

/**
 * Does `work` while a hold keeps a point from being condemned, even one that is deleted; releases it afterwards, whatever became of the
 * work. Where the vault cannot be written to, the work is done all the same, with a remark; it is told. One that is killed leaves the hold behind:
 * `releaseStaleHolds`. Throws `point-unknown` when the point is gone for good, else what `work` throws.
 */
export async function whileHeld<T>(
  vault: Pick<Vault, 'journal'>,
  point: string,
  reason: string,
  screen: Screen,
  work: (held: boolean) => Promise<T>,
): Promise<T> {
  const hold = await holdPoint(vault, point, reason, screen);
  try {
    return await work(hold !== undefined);
  } finally {
    if (hold !== undefined) await endHold(vault, hold, screen);
  }
}

async function holdPoint(
  { journal }: Pick<Vault, 'journal'>,
  point: string,
  reason: string,
  screen: Screen,
): Promise<string | undefined> {
  const now = new Date();
  const hold = newHoldName('read', now);
  try {
    await placeReadHold(journal, { hold, points: [point], reason, ...thisProcess() }, now);
    return hold;
  } catch (error) {
    if (codeOf(error) === undefined || codeOf(error) === 'point-unknown') throw error;
    screen.remark(`Point ${point} is read without a hold, for the vault cannot be written to: ${messageOf(error)}`);
    return undefined;
  }
}

/** A hold that cannot be released is seen as stale when this process has ended. */
async function endHold(vault: Pick<Vault, 'journal'>, hold: string, screen: Screen): Promise<void> {
  try {
    await releaseReadHold(vault.journal, hold, new Date());
    await releaseStaleHolds(vault);
  } catch (error) {
    if (vault.journal.state().holds.has(hold)) {
      screen.remark(
        `Hold ${hold} could not be released: ${messageOf(error)} It does no harm; \`ekko release\` ends it.`,
      );
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
