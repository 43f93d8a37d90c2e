import { pathToFileURL } from 'node:url';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openStore } from '#vault/store/open-store.ts';
import { readDescription, type Vault } from '#vault/vault.ts';
import { bundlePath } from '../../host/bundles.ts';
import { ALL_SHARDS, chooseRandomShards, chooseShards } from '../../verifier/choose-shards.ts';
import { recordVerification } from '../../verifier/record-verification.ts';
import { cutShort, MOST_REPORTED, type VerifyReport } from '../../verifier/report.ts';
import { objectsOf, verifyVault } from '../../verifier/verify-vault.ts';
import { watchSignals } from '../interruption.ts';
import { openWholeVault, remarkOnCopy } from '../open-command-vault.ts';
import { openProgress } from '../progress/progress.ts';
import type { CommandContext } from '../run-command.ts';

export interface VerifyOptions {
  /** Without a key: objects are only compared with their names. */
  readonly keyless: boolean;
  /** Share of the vault, the part that was looked at longest ago; without a journal to know that, a part by chance. */
  readonly percent: number;
  /** Write what was found into the journal. */
  readonly record: boolean;
}

/** What was found, cut short to MOST_REPORTED findings, and what of it the journal was told; undefined: nothing. */
export interface VerifyOutcome extends VerifyReport {
  readonly percent: number;
  readonly repaired: readonly string[] | undefined;
}

/**
 * Checks what lies in a vault, or a part of it. With a key also the journal from its first entry, and that every restore point is
 * complete. Throws what opening the vault throws, and `Interrupted`.
 */
export async function verify(url: string, options: VerifyOptions, context: CommandContext): Promise<VerifyOutcome> {
  const { screen } = context;
  const { signal, ignore } = watchSignals(() => screen.remark('Ending.'));
  const store = await openStore(url);
  const progress = await openProgress(screen, 'Checking', signal);
  try {
    const vault = options.keyless ? await withoutKey(store) : await withKey(store, context);
    const shards = shardsFor(vault, options);
    const totalBytes = await sizeOfObjects(store, shards);
    const report = await verifyVault({
      ...{ store, shards, signal, ...subjectOf(vault) },
      threads: { entry: pathToFileURL(bundlePath('verify-worker')) },
      onProgress: ({ bytes }) => progress.update(bytes, totalBytes),
    });
    const repaired = await record(vault, report, shards, options, context);
    return { ...cutShort(report, MOST_REPORTED), percent: options.percent, repaired };
  } finally {
    progress.end();
    ignore();
  }
}

async function withoutKey(store: ObjectStore): Promise<undefined> {
  await readDescription(store);
}

async function withKey(store: ObjectStore, context: CommandContext): Promise<Vault> {
  const vault = await openWholeVault(store, context);
  remarkOnCopy(vault, context);
  return vault;
}

function subjectOf(vault: Vault | undefined) {
  if (vault === undefined) return { keyring: undefined, journal: undefined, points: [] };
  const { points, expired } = vault.journal.state();
  const all = { points: [...points.values()], expired: [...expired.values()] };
  return { keyring: vault.keyring, journal: vault.journal, ...all };
}

function shardsFor(vault: Vault | undefined, { percent }: VerifyOptions): readonly number[] {
  if (percent === 100) return ALL_SHARDS;
  if (vault !== undefined) return chooseShards(vault.journal.state(), percent, true);
  return chooseRandomShards(percent);
}

/** A store that cannot be written is verified all the same: then nobody is told. */
async function record(
  vault: Vault | undefined,
  report: VerifyReport,
  shards: readonly number[],
  options: VerifyOptions,
  { screen }: CommandContext,
): Promise<readonly string[] | undefined> {
  if (vault === undefined || !options.record) return undefined;
  try {
    return (await recordVerification(vault, report, { shards, keyed: true }, new Date())).repaired;
  } catch (error) {
    screen.remark(`The journal was not told: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

async function sizeOfObjects(store: ObjectStore, shards: readonly number[]): Promise<number> {
  let total = 0;
  for await (const { size } of objectsOf(store, shards)) total += size;
  return total;
}
