import { codeOf } from '#vault/errors.ts';
import type { Vault } from '#vault/vault.ts';

/**
 * Does `work` while a hold keeps a restore point from being swept away. A hold that an earlier copy has left behind, for its process died,
 * is taken over: there is one copy of a point for one reason at a time. Throws `point-unknown` for a point that is gone, else what `work` throws.
 */
export async function whileRead<T>(
  { journal }: Pick<Vault, 'journal'>,
  point: string,
  reason: string,
  now: () => Date,
  work: () => Promise<T>,
): Promise<T> {
  const standing = [...journal.state().holds.values()].find(
    (hold) => hold.kind === 'read' && hold.reason === reason && hold.points.includes(point),
  );
  const hold = standing?.hold ?? `copy-${point}-${now().getTime()}`;
  if (standing === undefined) {
    const placed = { hold, points: [point], reason, host: 'catalog', process: 'copy', at: now().toISOString() };
    await journal.append(() => ({ type: 'hold-placed', kind: 'read', ...placed }));
  }
  try {
    return await work();
  } finally {
    await release(journal, hold, now).catch(() => undefined);
  }
}

async function release(journal: Vault['journal'], hold: string, now: () => Date): Promise<void> {
  try {
    await journal.append(() => ({ type: 'hold-released', hold, at: now().toISOString() }));
  } catch (error) {
    // Somebody else has released it.
    if (codeOf(error) !== 'bad-input') throw error;
  }
}
