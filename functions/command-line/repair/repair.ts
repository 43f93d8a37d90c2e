import { pathToFileURL } from 'node:url';
import { EkkoError } from '#vault/errors.ts';
import { nameOf } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openStore } from '#vault/store/open-store.ts';
import { readDescription, type Vault } from '#vault/vault.ts';
import { bundlePath } from '../../host/bundles.ts';
import { ALL_SHARDS } from '../../verifier/choose-shards.ts';
import { recordVerification } from '../../verifier/record-verification.ts';
import { type RepairedObject, repairObjects } from '../../verifier/repair-objects.ts';
import type { Finding } from '../../verifier/report.ts';
import { type UncoveredObject, uncoverObjects } from '../../verifier/uncover-objects.ts';
import { verifyVault } from '../../verifier/verify-vault.ts';
import { watchSignals } from '../interruption.ts';
import { openWholeVault } from '../open-command-vault.ts';
import { openProgress } from '../progress/progress.ts';
import type { CommandContext } from '../run-command.ts';

export interface RepairOptions {
  /** Path or URL of a replica of the vault; undefined: a locked vault is repaired from its own older versions. */
  readonly from: string | undefined;
  readonly dryRun: boolean;
}

export interface RepairReport {
  /** In a locked vault: what somebody had laid something over. */
  readonly uncovered: readonly UncoveredObject[];
  readonly objects: readonly RepairedObject[];
  /** What a look at the whole vault finds afterwards; what it found before, when nothing was done. */
  readonly findings: readonly Finding[];
}

/**
 * Takes away what lies over the objects of a locked vault. Then verifies the vault, puts back what is damaged or missing from a replica
 * of it, and verifies again until nothing more can be done. Throws what opening throws, `bad-input` (not a replica, or none given where the
 * vault is not locked), and `Interrupted`.
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
    const store = await openStore(url);
    const vault = await openWholeVault(store, context);
    const replica = await openReplica(vault, from);
    const uncovered = await uncover(vault, dryRun);
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
      const done = replica === undefined ? [] : await repairObjects(store, replica, keys, dryRun);
      objects.push(...done);
      if (!done.some(({ outcome }) => outcome === 'repaired')) return { uncovered, objects, findings };
    }
  } finally {
    progress.end();
    ignore();
  }
}

async function openReplica(
  { id, store, description }: Vault,
  from: string | undefined,
): Promise<ObjectStore | undefined> {
  if (from === undefined) {
    if (description.lock !== undefined && store.locking !== undefined) return undefined;
    throw new EkkoError('bad-input', 'Name a replica of the vault by --from: only a locked vault holds what it needs.');
  }
  const replica = await openStore(from);
  const { description: found } = await readDescription(replica);
  if (found.vault === id) return replica;
  throw new EkkoError(
    'bad-input',
    `${from} is another vault, not a replica of ${store.url}: it has none of its objects.`,
  );
}

async function uncover({ store: { locking }, description }: Vault, dryRun: boolean): Promise<UncoveredObject[]> {
  return description.lock === undefined || locking === undefined ? [] : uncoverObjects(locking, dryRun);
}

/** Expired ones too: they may be brought back. */
function everyPoint({ journal }: Vault) {
  const { points, expired } = journal.state();
  return [...points.values(), ...expired.values()];
}
