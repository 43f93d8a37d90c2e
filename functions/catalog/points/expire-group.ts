import type { VaultState } from '#vault/journal/state.ts';
import type { Vault } from '#vault/vault.ts';

/** Points that one journal entry takes. */
const AT_ONCE = 10_000;

/** Expires all restore points of a group but those that a legal hold keeps. Says how many of each. Throws what the journal throws. */
export async function expireGroup(
  { journal }: Vault,
  group: string,
  now: Date,
): Promise<{ expired: number; held: number }> {
  let expired = 0;
  for (;;) {
    const { free, held } = pointsOf(await journal.refresh(), group);
    if (free.length === 0) return { expired, held };
    const state = await journal.append((head) => {
      const points = pointsOf(head, group).free.slice(0, AT_ONCE);
      return { type: 'points-expired', points, reason: `policy ${group} was deleted`, at: now.toISOString() };
    });
    expired += free.length - pointsOf(state, group).free.length;
  }
}

function pointsOf({ points, holds }: VaultState, group: string) {
  const kept = new Set([...holds.values()].filter(({ kind }) => kind === 'legal').flatMap((hold) => hold.points));
  const runs = [...points.values()].filter((point) => point.group === group).map(({ run }) => run);
  const free = runs.filter((run) => !kept.has(run));
  return { free, held: runs.length - free.length };
}
