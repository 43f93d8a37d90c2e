import { placeReadHold, releaseReadHold } from '#vault/journal/read-holds.ts';
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
    await placeReadHold(journal, { hold, points: [point], reason, host: 'catalog', process: 'copy' }, now());
  }
  try {
    return await work();
  } finally {
    await releaseReadHold(journal, hold, now()).catch(() => undefined);
  }
}
