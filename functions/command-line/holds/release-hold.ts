import { EkkoError } from '#vault/errors.ts';
import type { Hold } from '#vault/journal/state.ts';
import type { Vault } from '#vault/vault.ts';
import { plainText } from '../text/plain-text.ts';
import { isStale } from './standing-holds.ts';

type HoldingVault = Pick<Vault, 'journal'>;

/** Releases a hold by its name; resolves to what it was. Throws `bad-input` when there is none of that name, and what the journal throws. */
export async function releaseHold({ journal }: HoldingVault, name: string, now: Date): Promise<Hold> {
  let released: Hold | undefined;
  await journal.append(({ holds }) => {
    released = holds.get(name);
    if (released === undefined) throw unknownHold(name, [...holds.keys()]);
    return { type: 'hold-released', hold: name, at: now.toISOString() };
  });
  if (released === undefined) throw unknownHold(name, []);
  return released;
}

/** Releases the holds of readers on this host whose process is gone. Nothing is written where there are none. */
export async function releaseStaleHolds(vault: HoldingVault): Promise<void> {
  for (const each of vault.journal.state().holds.values()) {
    if (!isStale(each)) continue;
    await releaseHold(vault, each.hold, new Date()).catch((error: unknown) => {
      // Somebody else was first.
      if (vault.journal.state().holds.has(each.hold)) throw error;
    });
  }
}

function unknownHold(name: string, others: readonly string[]): EkkoError {
  const shown = others.slice(0, 5).map((each) => `"${plainText(each, 60)}"`);
  const there =
    others.length === 0 ? 'There is none at all.' : `There is ${shown.join(', ')}${others.length > 5 ? ', …' : ''}.`;
  return new EkkoError('bad-input', `There is no hold "${plainText(name, 60)}". ${there}`);
}
