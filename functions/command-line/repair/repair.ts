import { pathToFileURL } from 'node:url';
import { MOST_NAMES } from '#vault/journal/entries.ts';
import { Folder, nameOf } from '#vault/store/object-names.ts';
import { openStore } from '#vault/store/open-store.ts';
import type { Vault } from '#vault/vault.ts';
import { bundlePath } from '../../host/bundles.ts';
import { ALL_SHARDS } from '../../verifier/choose-shards.ts';
import { recordVerification } from '../../verifier/record-verification.ts';
import { type Recovery, recoverPacks } from '../../verifier/recover-packs.ts';
import { type RepairedObject, repairObjects } from '../../verifier/repair-objects.ts';
import { cutShort, type Finding, MOST_REPORTED } from '../../verifier/report.ts';
import { type UncoveredObject, uncoverObjects } from '../../verifier/uncover-objects.ts';
import { verifyObjects } from '../../verifier/verify-objects.ts';
import { verifyVault } from '../../verifier/verify-vault.ts';
import { watchSignals } from '../interruption.ts';
import { openWholeVault } from '../open-command-vault.ts';
import { openProgress, type Progress } from '../progress/progress.ts';
import type { CommandContext } from '../run-command.ts';
import { openRepairSources, type RepairOptions, type RepairSources } from './repair-sources.ts';

export interface RepairReport {
  /** Nothing was changed: what could be. */
  readonly dryRun: boolean;
  /** In a locked vault: what somebody had laid something over. */
  readonly uncovered: readonly UncoveredObject[];
  /** Put back from a replica, byte for byte. */
  readonly objects: readonly RepairedObject[];
  /** Packs of which segments were recovered from a copy, a disk, and what is left of themselves. */
  readonly packs: Recovery['packs'];
  /** What went wrong with sources. */
  readonly faults: readonly string[];
  /** Damaged or missing packs that no restore point needs, or needs any more; told where segments can be recovered. */
  readonly unneeded: readonly string[];
  /** Objects that are damaged or missing still, but for `unneeded`. */
  readonly damaged: number;
  /** What a look afterwards finds of these, MOST_REPORTED at most; what was found before, when nothing was done. */
  readonly findings: readonly Finding[];
}

interface Work {
  readonly vault: Vault;
  readonly sources: RepairSources;
  readonly dryRun: boolean;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * Takes away what lies over the objects of a locked vault. Then verifies the vault and repairs what is damaged or missing: from a
 * replica by putting the same bytes back, from copies and disks by writing the segments anew; and looks again before it says so. Throws
 * what opening throws, `bad-input` (a source that can be of no use, or none where the vault is not locked), and `Interrupted`.
 */
export async function repair(url: string, options: RepairOptions, context: CommandContext): Promise<RepairReport> {
  const { screen } = context;
  const { dryRun } = options;
  const { signal, ignore } = watchSignals(() => screen.remark('Ending; the same command goes on from here later.'));
  const progress = await openProgress(screen, 'Checking', signal);
  try {
    const vault = await openWholeVault(await openStore(url), context);
    const sources = await openRepairSources(vault, options, context);
    try {
      return await repairVault({ vault, sources, dryRun, progress, signal });
    } finally {
      for (const source of sources.segments) await source.close();
    }
  } finally {
    progress.end();
    ignore();
  }
}

async function repairVault(work: Work): Promise<RepairReport> {
  const uncovered = await uncover(work);
  const { objects, findings } = await putBack(work);
  const left = await recover(work, findings);
  const report = { dryRun: work.dryRun, uncovered, objects, ...left, damaged: left.findings.length };
  return cutShort(report, MOST_REPORTED);
}

async function uncover({ vault, dryRun }: Work): Promise<UncoveredObject[]> {
  const { locking } = vault.store;
  return vault.description.lock === undefined || locking === undefined ? [] : uncoverObjects(locking, dryRun);
}

/** Whole objects, from a replica. */
async function putBack(work: Work): Promise<Pick<RepairReport, 'objects' | 'findings'>> {
  const { vault, sources, dryRun } = work;
  const objects: RepairedObject[] = [];
  // What a missing manifest or page needs is found missing only when that is back.
  for (;;) {
    const findings = await look(work);
    const tried = new Set(objects.map(({ key }) => key));
    const keys = findings.map(({ object }) => object).filter((key) => nameOf(key) !== undefined && !tried.has(key));
    const done = sources.replica === undefined ? [] : await repairObjects(vault.store, sources.replica, keys, dryRun);
    objects.push(...done);
    if (!done.some(({ outcome }) => outcome === 'repaired')) return { objects, findings };
  }
}

/** Segments, from copies and disks. A replica alone gives whole objects or nothing. */
async function recover(
  { vault, sources, dryRun, progress, signal }: Work,
  findings: readonly Finding[],
): Promise<Pick<RepairReport, 'packs' | 'faults' | 'unneeded' | 'findings'>> {
  const damaged = findings.flatMap(({ object }) => (isPack(object) ? (nameOf(object) ?? []) : []));
  if (damaged.length === 0 || sources.segments.length === 0) return { packs: [], faults: [], unneeded: [], findings };
  const recovery = await recoverPacks(vault, {
    ...{ packs: damaged, sources: sources.segments, now: new Date(), dryRun, signal },
    onProgress: (doneBytes, totalBytes) => progress.update(doneBytes, totalBytes),
  });
  const { packs, faults, written } = recovery;
  const needed = new Set([...packs.map(({ key }) => key), ...written]);
  const isUnneeded = ({ object }: Finding) => isPack(object) && !needed.has(object);
  const emptied = dryRun ? [] : packs.filter(({ outcome }) => outcome === 'recovered').map(({ key }) => key);
  const after = dryRun ? findings : await lookAgain(vault, findings, recovery);
  return {
    ...{ packs, faults },
    unneeded: [...emptied, ...findings.filter(isUnneeded).map(({ object }) => object)],
    findings: after.filter((finding) => !isUnneeded(finding)),
  };
}

function isPack(key: string): boolean {
  return key.startsWith(Folder.packs);
}

/** The whole vault; what is found is written down. */
async function look({ vault, progress, signal }: Work): Promise<readonly Finding[]> {
  const { store, keyring, journal } = vault;
  const report = await verifyVault({
    ...{ store, keyring, journal, points: everyPoint(vault), signal },
    threads: { entry: pathToFileURL(bundlePath('verify-worker')) },
    onProgress: ({ bytes }) => progress.update(bytes, bytes),
  });
  await recordVerification(vault, report, { shards: ALL_SHARDS, keyed: true }, new Date());
  return report.findings;
}

/** At what was written and what had been damaged, as restore points need it now. What is whole again the journal is told. */
async function lookAgain(vault: Vault, findings: readonly Finding[], { packs, written }: Recovery): Promise<Finding[]> {
  await vault.journal.refresh();
  const damaged = packs.map(({ key }) => key);
  const found = await verifyObjects(vault, everyPoint(vault), { damaged, written });
  const wrong = new Set(found.map(({ object }) => object));
  const isSound = written.every((key) => !wrong.has(key));
  const objects = packs
    .filter(({ key, outcome }) => isSound && outcome === 'recovered' && !wrong.has(key))
    .flatMap(({ key }) => nameOf(key) ?? []);
  for (let at = 0; at < objects.length; at += MOST_NAMES) {
    const names = objects.slice(at, at + MOST_NAMES);
    await vault.journal.append(() => ({ type: 'objects-repaired', objects: names, at: new Date().toISOString() }));
  }
  const looked = new Set([...damaged, ...wrong]);
  return [...found, ...findings.filter(({ object }) => !looked.has(object))];
}

/** Expired ones too: they may be brought back. */
function everyPoint({ journal }: Vault) {
  const { points, expired } = journal.state();
  return [...points.values(), ...expired.values()];
}
