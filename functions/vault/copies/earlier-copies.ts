import type { Vault } from '../vault.ts';

/** An earlier copy, in the vault that is copied to, of a disk of the same vault. */
export interface EarlierCopy {
  /** The restore point that is the copy, in the vault that is copied to. */
  readonly point: string;
  /** The manifest that it was copied from, in the vault that is copied from. */
  readonly manifest: string;
}

type VaultWithJournal = Pick<Vault, 'id' | 'journal'>;

/** For each disk of `source` the newest copy in `target` whose original is still there to be compared with. */
export function earlierCopies(source: VaultWithJournal, target: VaultWithJournal): Map<string, EarlierCopy> {
  const { points, expired } = source.journal.state();
  const earlier = new Map<string, EarlierCopy>();
  for (const { run, copyOf, disks: copies } of target.journal.state().points.values()) {
    const original = copyOf?.vault === source.id ? (points.get(copyOf.run) ?? expired.get(copyOf.run)) : undefined;
    for (const { name, manifest } of original?.disks ?? []) {
      if (copies.some((copy) => copy.name === name)) earlier.set(name, { point: run, manifest });
    }
  }
  return earlier;
}
