import { codeOf, EkkoError } from '#vault/errors.ts';
import type { RestorePoint } from '#vault/format/point.ts';
import type { ExportSummary } from '#vault/format/summary.ts';
import { digestInName } from '#vault/images.ts';
import type { CommittedPoint, VaultState } from '#vault/journal/state.ts';
import type { PackMoves } from '#vault/moves/pack-moves.ts';
import { type VaultReader, writePoint } from '#vault/records.ts';
import { openSummary } from '#vault/staging/open-part.ts';
import { receiptKey, stagingKey, topologyKey } from '#vault/store/object-names.ts';
import { keptTopology } from '#vault/topologies.ts';
import type { Vault } from '#vault/vault.ts';
import { checkImage } from './check-image.ts';
import { type DiskPast, type MappedDisk, mapDisk } from './map-disk.ts';
import { committed, type ExportedDisk, pointOf } from './new-point.ts';

interface CommittedWork extends ExportedDisk {
  /** The disk's number in the run. */
  readonly number: number;
  readonly past: DiskPast;
}

/** All that a commit writes before it decides, and the state that it was made for. */
interface CommitDraft {
  readonly state: VaultState;
  readonly work: readonly CommittedWork[];
  readonly point: RestorePoint;
  /** Of the point's record. */
  readonly name: string;
}

/** A commit is overtaken by sweeps and moves only, which are rare; so often in a row is no accident. */
const MOST_TRIES = 8;

/** What a partial commit leaves out, and what a commit has besides its disks. */
export interface LeftOut {
  /** Numbers of disks in the run. */
  readonly without: readonly number[];
  /** What the point says it does not hold: names of those disks, and of servers whose disks nobody knew. */
  readonly missing: readonly string[];
  /** Whether a topology was kept at the start of the run, for its point. */
  readonly topology?: boolean;
}

const NOTHING: LeftOut = { without: [], missing: [] };

/**
 * Commits a run whose parts all have their receipts, or those of its disks that are not left out: writes pages, manifests and the point, then decides in the journal. Where a sweep
 * or a move has touched what it builds on, it maps the disks again.
 * Idempotent until then; a second commit of the same run throws `run-ended`. Throws `no-escrow`, `run-ended`, `run-incomplete`,
 * `part-refused`, `audit-failed`, `condemned` (a part was deduped against what is being removed), and what reading throws.
 */
export async function commitRun(vault: Vault, run: string, now: Date, leftOut = NOTHING): Promise<RestorePoint> {
  const checked = new Set<string>();
  for (let tries = 1; ; tries++) {
    try {
      const draft = await draftCommit(vault, run, leftOut, checked);
      await vault.journal.append((head) => {
        openRun(head, run);
        checkStill(head, draft);
        return committed(draft.point, draft.name, now);
      });
      await clearRun(vault, run, draft);
      return draft.point;
    } catch (error) {
      if (!(error instanceof Overtaken)) throw error;
      if (tries === MOST_TRIES) throw condemned(run, error.object);
    }
  }
}

async function draftCommit(vault: Vault, run: string, leftOut: LeftOut, checked: Set<string>): Promise<CommitDraft> {
  const { without, missing, topology = false } = leftOut;
  const state = await vault.journal.refresh();
  checkEscrow(state);
  const open = openRun(state, run);
  const work: CommittedWork[] = [];
  try {
    for (const [number, disk] of open.disks.entries()) {
      if (without.includes(number)) continue;
      const one = await mapOne(vault, state, run, number, disk);
      await checkOnce({ ...vault, journal: fixed(vault, state) }, one, checked);
      work.push(one);
    }
  } catch (error) {
    // What it builds on may have been removed while it was read.
    if (codeOf(error) === 'object-missing' && (await vault.journal.refresh()).position !== state.position)
      throw new Overtaken(run);
    throw error;
  }
  if (work.length === 0) throw new EkkoError('run-incomplete', `Run ${run} has no disk left to commit. Abandon it.`);
  const point = {
    ...pointOf(run, open.group, work),
    ...(missing.length === 0 ? {} : { missing }),
    ...(topology ? { topology: await keptTopology(vault, run) } : {}),
  };
  return { state, work, point, name: await writePoint(vault, point) };
}

/**
 * Throws `Overtaken` unless all that the commit would make live is whole in the newest state: nothing of it condemned, no pack moved
 * since pages were written that name it, and the pasts whose pages it shares still in use: then nothing those pages need
 * has been condemned, nor ever was since they were read (`docs/safety.md`).
 */
function checkStill(head: VaultState, { state, work, name }: CommitDraft): void {
  const inUse = manifestsInUse(head);
  for (const { past, mapped } of work) {
    for (const manifest of [past.base, past.newest]) {
      if (manifest !== undefined && !inUse.has(manifest)) throw new Overtaken(manifest);
    }
    for (const pack of mapped.packs) {
      const move = head.moved.get(pack);
      const moved = move !== undefined && move !== state.moved.get(pack);
      if (moved || head.condemned.has(pack)) throw new Overtaken(pack);
    }
    for (const record of mapped.records) if (head.condemned.has(record)) throw new Overtaken(record);
  }
  if (head.condemned.has(name)) throw new Overtaken(name);
}

function manifestsInUse({ points, expired }: VaultState): ReadonlySet<string> {
  return new Set(
    [...points.values(), ...expired.values()].flatMap(({ disks }) => disks.map(({ manifest }) => manifest)),
  );
}

/** What the commit was made for is not so any more: it must be made anew. */
class Overtaken extends Error {
  readonly object: string;

  constructor(object: string) {
    super(`${object} has been condemned or moved meanwhile.`);
    this.object = object;
  }
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
  const past = pastOf(state, summary);
  const reader = { ...vault, journal: fixed(vault, state) };
  const mapped = await mapDisk(reader, run, number, summary, past);
  if (mapped.totals.auditFailures > 0) throw auditFailed(disk, mapped);
  for (const pack of mapped.packs) if (state.condemned.has(pack)) throw condemned(run, pack);
  return { number, summary, past, mapped };
}

/**
 * An image is read back whole, so not again at each try: what it holds are its receipts and its base, which do not change. Its summary,
 * which says how many receipts and which base, lies where an exporter may write.
 */
async function checkOnce(
  reader: VaultReader,
  { number, summary, mapped }: CommittedWork,
  checked: Set<string>,
): Promise<void> {
  const said = JSON.stringify([number, summary]);
  if (checked.has(said)) return;
  await checkImage(reader, summary.disk, mapped.manifest);
  checked.add(said);
}

/** The journal as it was: all disks are mapped for one state. */
function fixed({ journal }: Vault, state: VaultState): PackMoves {
  return { state: () => state, refresh: journal.refresh };
}

/** Which earlier states the commit builds on. An expired base serves until it is condemned; without its base the run is refused. */
function pastOf(state: VaultState, summary: ExportSummary): DiskPast {
  const manifestIn = (point: CommittedPoint | undefined, name: string) =>
    point?.disks.find((disk) => disk.name === name)?.manifest;
  const newest = [...state.points.values()]
    .map((point) => manifestIn(point, summary.disk))
    .findLast((manifest) => manifest !== undefined);
  if (summary.base === undefined) return { base: undefined, newest };
  const { baseDisk = summary.disk } = summary;
  // An exporter says which: it must not be able to have another server's disk restored as its own.
  const isAllowed = baseDisk === summary.disk || digestInName(baseDisk) !== undefined;
  const base = manifestIn(state.points.get(summary.base) ?? state.expired.get(summary.base), baseDisk);
  if (base !== undefined && isAllowed) return { base, newest };
  throw new EkkoError(
    'part-refused',
    `Disk ${summary.disk} counts from ${baseDisk} in restore point ${summary.base}, which the vault does not have, or which is no image.`,
  );
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

function condemned(run: string, name: string): EkkoError {
  return new EkkoError(
    'condemned',
    `Run ${run} builds on object ${name}, which has been condemned meanwhile. Back up again; nothing is lost.`,
  );
}

function auditFailed(disk: string, { totals }: MappedDisk): EkkoError {
  const found = `${totals.auditFailures} of ${totals.auditedSegments} segments of disk ${disk} changed though its bitmap calls them clean`;
  return new EkkoError('audit-failed', `${found}. Abandon the run and read the disk in full.`);
}

/** Receipts and summaries have done their work. Left behind by a crash here, they are swept like those of any ended run. */
async function clearRun(vault: Vault, run: string, { work, point }: CommitDraft): Promise<void> {
  const keys = work.flatMap(({ number: disk, summary }) => [
    stagingKey({ run, disk, part: 'summary' }),
    ...Array.from({ length: summary.parts }, (_, part) => receiptKey({ run, disk, part })),
  ]);
  await vault.store.remove(point.topology === undefined ? keys : [...keys, topologyKey(run)]);
}
