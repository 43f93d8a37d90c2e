import { EkkoError } from '#vault/errors.ts';
import type { PointDisk, RestorePoint } from '#vault/format/point.ts';
import type { ExportSummary } from '#vault/format/summary.ts';
import type { JournalEntry } from '#vault/journal/entries.ts';
import type { CommittedPoint, VaultState } from '#vault/journal/state.ts';
import { writePoint } from '#vault/records.ts';
import { openSummary } from '#vault/staging/open-part.ts';
import { receiptKey, stagingKey } from '#vault/store/object-names.ts';
import type { Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { type DiskPast, type MappedDisk, mapDisk } from './map-disk.ts';

interface CommittedWork {
  readonly summary: ExportSummary;
  readonly mapped: MappedDisk;
}

/**
 * Commits a run whose parts all have their receipts: writes pages, manifests and the point, then decides in the journal.
 * Idempotent until then; a second commit of the same run throws `run-ended`. Throws `no-escrow`, `run-ended`, `run-incomplete`,
 * `part-refused`, `audit-failed`, `condemned` (what it would make live is being removed), and what reading throws.
 */
export async function commitRun(vault: Vault, run: string, now: Date): Promise<RestorePoint> {
  const state = await vault.journal.refresh();
  checkEscrow(state);
  const open = openRun(state, run);
  const work: CommittedWork[] = [];
  for (const [number, disk] of open.disks.entries()) work.push(await mapOne(vault, state, run, number, disk));
  const point = pointOf(run, open.group, work);
  const name = await writePoint(vault, point);
  const names = new Set([name, ...work.flatMap(({ mapped }) => [...mapped.names])]);
  await vault.journal.append((head) => {
    openRun(head, run);
    checkCondemned(head, names, run);
    return committed(point, name, now);
  });
  await clearRun(vault, run, work);
  return point;
}

async function mapOne(
  vault: Vault,
  state: VaultState,
  run: string,
  number: number,
  disk: string,
): Promise<CommittedWork> {
  const summary = await openSummary(vault, run, number);
  if (summary.disk !== disk)
    throw new EkkoError('part-refused', `Disk ${number} of run ${run} is ${disk}, its export says ${summary.disk}.`);
  const mapped = await mapDisk(vault, run, number, summary, pastOf(state, summary));
  if (mapped.totals.auditFailures > 0) throw auditFailed(disk, mapped);
  return { summary, mapped };
}

/** Which earlier states the commit builds on. A base that is not (or no longer) a point refuses the run. */
function pastOf(state: VaultState, summary: ExportSummary): DiskPast {
  const manifestIn = (point: CommittedPoint | undefined) =>
    point?.disks.find((disk) => disk.name === summary.disk)?.manifest;
  const newest = [...state.points.values()].map(manifestIn).findLast((manifest) => manifest !== undefined);
  if (summary.base === undefined) return { base: undefined, newest };
  const base = manifestIn(state.points.get(summary.base));
  if (base !== undefined) return { base, newest };
  throw new EkkoError(
    'part-refused',
    `Disk ${summary.disk} counts from restore point ${summary.base}, which the vault does not have.`,
  );
}

function pointOf(run: string, group: string, work: readonly CommittedWork[]): RestorePoint {
  const takenAt = work.map(({ summary }) => summary.takenAt).sort()[0] ?? '';
  return { id: run, group, takenAt, disks: work.map(pointDisk) };
}

function pointDisk({ summary, mapped }: CommittedWork): PointDisk {
  const { disk, parts: _parts, ...said } = summary;
  const { totals, manifest } = mapped;
  return {
    ...said,
    name: disk,
    manifest,
    assurance: { auditedSegments: totals.auditedSegments, auditFailures: totals.auditFailures },
    changedBytes: totals.dataSegments * SEGMENT_SIZE,
    newBytes: totals.newSegments * SEGMENT_SIZE,
    storedBytes: totals.storedBytes,
  };
}

function committed(point: RestorePoint, name: string, now: Date): JournalEntry {
  const disks = point.disks.map((disk) => ({ name: disk.name, size: disk.diskSize, manifest: disk.manifest }));
  return {
    type: 'point-committed',
    run: point.id,
    group: point.group,
    point: name,
    takenAt: point.takenAt,
    at: now.toISOString(),
    disks,
  };
}

function openRun(state: VaultState, run: string) {
  const open = state.openRuns.get(run);
  if (open) return open;
  throw new EkkoError(
    'run-ended',
    `Run ${run} is not open: it was committed or abandoned, or never started. Start a new one.`,
  );
}

function checkEscrow(state: VaultState): void {
  if (state.escrow !== 'missing') return;
  const advice = 'Type its escrow code back with `ekko escrow`, or make the vault with a second recipient.';
  throw new EkkoError(
    'no-escrow',
    `The vault's key exists only once, so its first restore point is refused. ${advice}`,
  );
}

function checkCondemned(state: VaultState, names: ReadonlySet<string>, run: string): void {
  for (const name of names) {
    if (!state.condemned.has(name)) continue;
    throw new EkkoError(
      'condemned',
      `Run ${run} builds on object ${name}, which has been condemned meanwhile. Back up again; nothing is lost.`,
    );
  }
}

function auditFailed(disk: string, { totals }: MappedDisk): EkkoError {
  const found = `${totals.auditFailures} of ${totals.auditedSegments} segments of disk ${disk} changed though its bitmap calls them clean`;
  return new EkkoError('audit-failed', `${found}. Abandon the run and read the disk in full.`);
}

/** Receipts and summaries have done their work. Left behind by a crash here, they are swept like those of any ended run. */
async function clearRun(vault: Vault, run: string, work: readonly CommittedWork[]): Promise<void> {
  const keys = work.flatMap(({ summary }, disk) => [
    stagingKey({ run, disk, part: 'summary' }),
    ...Array.from({ length: summary.parts }, (_, part) => receiptKey({ run, disk, part })),
  ]);
  await vault.store.remove(keys);
}
