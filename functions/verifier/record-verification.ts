import type { JournalEntry } from '#vault/journal/entries.ts';
import { MOST_NAMES } from '#vault/journal/entries.ts';
import type { VaultState } from '#vault/journal/state.ts';
import { nameOf } from '#vault/store/object-names.ts';
import type { Vault } from '#vault/vault.ts';
import { shardOf } from './choose-shards.ts';
import type { VerifyReport } from './report.ts';

/** What a verification looked at. */
export interface VerifiedPart {
  readonly shards: readonly number[];
  readonly keyed: boolean;
}

/** What the journal was told. */
export interface RecordedVerification {
  readonly damaged: readonly string[];
  /** Names of objects that were damaged at an earlier look and are whole now. */
  readonly repaired: readonly string[];
}

/**
 * Writes what a verification found into the journal: nothing is deduped against a damaged object from then on, and the shards are
 * known to be looked at. Throws what appending throws.
 */
export async function recordVerification(
  vault: Vault,
  report: VerifyReport,
  part: VerifiedPart,
  now: Date,
): Promise<RecordedVerification> {
  const damaged = [...new Set(report.findings.flatMap(({ object }) => nameOf(object) ?? []))];
  const at = now.toISOString();
  const pieces = inPieces(damaged);
  for (const [n, names] of pieces.entries()) {
    // The shards count as looked at when all that was found is written down.
    const shards = n === pieces.length - 1 ? part.shards : [];
    await vault.journal.append(
      (head): JournalEntry => ({
        ...{ type: 'vault-verified', shards, keyed: part.keyed, objects: report.objects, bytes: report.bytes, at },
        damaged: names.filter((name) => !head.condemned.has(name)),
      }),
    );
  }
  const bad = new Set([...damaged, ...report.emptied.flatMap(({ object }) => nameOf(object) ?? [])]);
  const repaired = wholeAgain(vault.journal.state(), bad, part.shards);
  for (const objects of inPieces(repaired).filter((names) => names.length > 0)) {
    await vault.journal.append(() => ({ type: 'objects-repaired', objects, at }));
  }
  return { damaged, repaired };
}

function wholeAgain({ damaged }: VaultState, found: ReadonlySet<string>, shards: readonly number[]): string[] {
  const looked = new Set(shards);
  return [...damaged].filter((name) => looked.has(shardOf(name)) && !found.has(name));
}

/** At least one piece, be it empty. */
function inPieces(names: readonly string[]): string[][] {
  const pieces = Math.max(1, Math.ceil(names.length / MOST_NAMES));
  return Array.from({ length: pieces }, (_, n) => names.slice(n * MOST_NAMES, (n + 1) * MOST_NAMES));
}
