import { pathToFileURL } from 'node:url';
import { EkkoError } from '#vault/errors.ts';
import { nameOf } from '#vault/store/object-names.ts';
import { openStore } from '#vault/store/open-store.ts';
import { readDescription, type Vault } from '#vault/vault.ts';
import { bundlePath } from '../../host/bundles.ts';
import { ALL_SHARDS } from '../../verifier/choose-shards.ts';
import { recordVerification } from '../../verifier/record-verification.ts';
import { type RepairedObject, repairObjects } from '../../verifier/repair-objects.ts';
import type { Finding } from '../../verifier/report.ts';
import { verifyVault } from '../../verifier/verify-vault.ts';
import { watchSignals } from '../interruption.ts';
import { openWholeVault } from '../open-command-vault.ts';
import { openProgress } from '../progress/progress.ts';
import type { CommandContext } from '../run-command.ts';

export interface RepairOptions {
  /** Path or URL of a replica of the vault. */
  readonly from: string;
  readonly dryRun: boolean;
}

export interface RepairReport {
  readonly objects: readonly RepairedObject[];
  /** What a look at the whole vault finds afterwards; what it found before, when nothing was done. */
  readonly findings: readonly Finding[];
}

/**
 * Verifies a vault, puts back what is damaged or missing from a replica of it, and verifies again until nothing more can be done. Throws what opening
 * throws, `bad-input` (not a replica), and `Interrupted`.
 */
export async function repair(
  url: string,
  { from, dryRun }: RepairOptions,
  context: CommandContext,
): Promise<RepairReport> {
  const { screen } = context;
  const { signal, ignore } = watchSignals(() => screen.remark('Ending; the same command goes on from here later.'));
  const progress = await openProgress(screen, 'Checking', signal);
  try {
    const [store, replica] = [await openStore(url), await openStore(from)];
    const vault = await openWholeVault(store, context);
    const { description } = await readDescription(replica);
    if (description.vault !== vault.id)
      throw new EkkoError(
        'bad-input',
        `${from} is another vault, not a replica of ${url}: it has none of its objects.`,
      );
    const look = async () => {
      const report = await verifyVault({
        ...{ store, keyring: vault.keyring, journal: vault.journal, points: everyPoint(vault), signal },
        threads: { entry: pathToFileURL(bundlePath('verify-worker')) },
        onProgress: ({ bytes }) => progress.update(bytes, bytes),
      });
      await recordVerification(vault, report, { shards: ALL_SHARDS, keyed: true }, new Date());
      return report.findings;
    };
    const objects: RepairedObject[] = [];
    // What a missing manifest or page needs is found missing only when that is back.
    for (;;) {
      const findings = await look();
      const tried = new Set(objects.map(({ key }) => key));
      const keys = findings.map(({ object }) => object).filter((key) => nameOf(key) !== undefined && !tried.has(key));
      const done = await repairObjects(store, replica, keys, dryRun);
      objects.push(...done);
      if (!done.some(({ outcome }) => outcome === 'repaired')) return { objects, findings };
    }
  } finally {
    progress.end();
    ignore();
  }
}

/** Expired ones too: they may be brought back. */
function everyPoint({ journal }: Vault) {
  const { points, expired } = journal.state();
  return [...points.values(), ...expired.values()];
}
