import { createHash, randomBytes } from 'node:crypto';
import { EkkoError } from '#vault/errors.ts';
import { openRecord, RecordKind } from '#vault/format/record.ts';
import type { JournalEntry, RunStarted } from '#vault/journal/entries.ts';
import type { Journal } from '#vault/journal/journal.ts';
import { writeSnapshot } from '#vault/journal/state-snapshot.ts';
import { openVaultJournal } from '#vault/journal/vault-journal.ts';
import { newIdentity } from '#vault/keys/identity.ts';
import { ticketFor } from '#vault/runs.ts';
import type { HeldMoment } from '#vault/staging/changed-block-source.ts';
import { exportDisk } from '#vault/staging/export-disk.ts';
import { openPart, openSummary } from '#vault/staging/open-part.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { Folder, journalKey, newRunId, placeOf } from '#vault/store/object-names.ts';
import { NOTHING_KEPT, type ObjectStore } from '#vault/store/object-store.ts';
import { createVault, type Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { commitRun } from '../../functions/point-committer/commit-run.ts';
import { openPartProcessor } from '../../functions/segment-processor/process-part.ts';
import { sweepVault } from '../../functions/sweeper/sweep-vault.ts';
import { enter, newSurroundings } from './determinism.ts';
import type { Place } from './scheduler.ts';
import { type Content, newVersions } from './versions.ts';

export const NOW = new Date('2026-01-02T03:04:05Z');

/** One segment of a disk by its content's number; 0 is zero. Equal numbers are equal content. */
export type Contents = readonly number[];

export interface NewBackup {
  readonly disk?: string;
  /** What the disk holds at its moment. */
  readonly contents: Contents;
  /** The restore point that it counts from: only segments that differ from it are read. Without one, all. */
  readonly base?: string;
  /** Segments of data in one part. Default: all in one. */
  readonly partSegments?: number;
}

export interface PreparedRun {
  readonly run: string;
  readonly entry: RunStarted;
  /** Keys and bytes of its staged objects. */
  readonly parts: readonly (readonly [string, Buffer])[];
}

export interface StagedRun {
  readonly run: string;
  /** Keys of its staged parts, without the summary. */
  readonly parts: readonly string[];
}

/** A vault as it is before an exploration begins; what is done to it here is done by the product's code, one thing after another. */
export interface World {
  readonly vault: Vault;
  /** Opens the vault in any store that holds what this one holds, or more. */
  readonly open: Place['open'];
  /** What the disk of each run held. */
  readonly truths: ReadonlyMap<string, Contents>;
  /** Seals the parts of a run that has not been started. */
  prepare(backup: NewBackup): Promise<PreparedRun>;
  /** Starts a run and stages its parts; nobody has processed them yet. */
  stage(backup: NewBackup): Promise<StagedRun>;
  process(run: StagedRun): Promise<void>;
  /** A whole backup; returns the point. */
  backup(backup: NewBackup): Promise<string>;
  expire(...points: readonly string[]): Promise<void>;
  sweep(): Promise<void>;
  /** A sweep that dies before it removes what it has condemned; the samples that it removed are there again, as after a crash of the host. */
  sweepUnfinished(): Promise<void>;
  /** Everything as it is now, for an exploration to begin with. */
  place(): Promise<Place>;
}

export async function newWorld(): Promise<World> {
  enter(newSurroundings('world'));
  const store = openMemoryStore();
  const recipients = [{ kind: 'key-file', publicKey: newIdentity().identity.publicKey }] as const;
  const vault = await createVault(store, { recipients, noEscrow: true, now: NOW });
  const { keyring } = vault;
  const open = async (from: ObjectStore, log: Journal): Promise<Vault> => {
    const journal = await openVaultJournal({ journal: log, store: from, keyring });
    return { ...vault, store: from, log, journal };
  };
  const at = NOW.toISOString();
  const truths = new Map<string, Contents>();

  async function prepare({
    disk = 'd',
    contents,
    base,
    partSegments = contents.length,
  }: NewBackup): Promise<PreparedRun> {
    const run = newRunId(NOW, randomBytes(3));
    truths.set(run, contents);
    const staging = openMemoryStore();
    const lineage = vault.journal.state().points.get(base ?? '')?.disks[0]?.manifest;
    const moment = momentOf(disk, contents, base, truths.get(base ?? ''));
    await exportDisk(moment, 0, ticketFor(vault, run, 0), lineage, {
      staging,
      notice: async () => undefined,
      progress: () => undefined,
      bandwidth: undefined,
      partSegments,
    });
    await openAll({ ...vault, store: staging }, run);
    const parts: [string, Buffer][] = [];
    for await (const { key } of staging.list('')) parts.push([key, await staging.get(key)]);
    const entry = { type: 'run-started', run, group: 'g', disks: [disk], host: 'h', process: '1@b', at } as const;
    return { run, entry, parts };
  }

  async function stage(backup: NewBackup): Promise<StagedRun> {
    const { run, entry, parts } = await prepare(backup);
    await vault.journal.append(() => entry);
    for (const [key, bytes] of parts) await store.create(key, [bytes]);
    return { run, parts: parts.map(([key]) => key).filter((key) => !key.endsWith('summary')) };
  }

  return {
    vault,
    open,
    truths,
    prepare,
    stage,
    async process({ parts }) {
      for (const key of parts) await openPartProcessor(vault, 1).process(key);
    },
    async backup(backup) {
      const { run, parts } = await stage(backup);
      for (const key of parts) await openPartProcessor(vault, 1).process(key);
      await commitRun(vault, run, NOW);
      return run;
    },
    async expire(...points) {
      await vault.journal.append(() => ({ type: 'points-expired', points, reason: 'test', at }));
    },
    async sweep() {
      await sweepVault(vault, { now: NOW, graceHours: 0 });
    },
    async sweepUnfinished() {
      const remove = async (keys: readonly string[]) => {
        if (!keys.every((key) => key.startsWith(Folder.samples)))
          throw new EkkoError('store-failed', 'The sweep died.');
        return NOTHING_KEPT;
      };
      await sweepVault({ ...vault, store: { ...store, remove } }, { now: NOW, graceHours: 0 }).catch(() => undefined);
    },
    async place() {
      await writeSnapshot(store, keyring.newest, vault.journal.state());
      const objects = new Map<string, Buffer>();
      for await (const { key } of store.list('')) objects.set(key, await store.get(key));
      return {
        versions: newVersions(objects),
        open,
        keyring,
        condemned: vault.journal.state().condemned,
        condemnedBy: condemnedReader(vault),
      };
    },
  };
}

/** Magic, position and digest before an entry's record, and the MAC behind it (`docs/format.md`, "Journal"). */
const ENTRY_HEADER = 48;
const ENTRY_MAC = 32;

function condemnedReader({ keyring }: Vault): Place['condemnedBy'] {
  const known = new Map<Content, readonly string[]>();
  return (content) => {
    const { bytes } = content;
    const names = known.get(content) ?? namesIn(keyring, bytes);
    known.set(content, names);
    return names;
  };
}

function namesIn(keyring: Vault['keyring'], bytes: Buffer): readonly string[] {
  const context = journalKey(Number(bytes.readBigUInt64LE(8)));
  const record = bytes.subarray(ENTRY_HEADER, -ENTRY_MAC);
  const plain = openRecord(keyring, { kind: RecordKind.journalEntry, context }, record, context);
  const entry = JSON.parse(plain.toString()) as JournalEntry;
  if (entry.type !== 'condemned') return [];
  return [...entry.packs, ...entry.pages, ...entry.manifests, ...entry.points, ...entry.moves];
}

function momentOf(
  disk: string,
  contents: Contents,
  base: string | undefined,
  before: Contents | undefined,
): HeldMoment {
  const changed = contents.flatMap((content, i) => (before !== undefined && before[i] === content ? [] : [i]));
  const runs = (zero: boolean) =>
    changed.filter((i) => (contents[i] === 0) === zero).map((first) => ({ first, count: 1 }));
  const plan = {
    disk: { name: disk, size: contents.length * SEGMENT_SIZE, origin: 'test' },
    base,
    fullReason: undefined,
    data: runs(false),
    zero: runs(true),
    audit: [],
  };
  return {
    plans: [plan],
    takenAt: NOW,
    consistency: 'crash',
    consistencyNote: '',
    frozenMs: 0,
    async read(_index, offset, length, into) {
      for (let i = 0; i < length; i += SEGMENT_SIZE) {
        segmentOf(contents[(offset + i) / SEGMENT_SIZE] ?? 0).copy(into, i);
      }
    },
    end: async () => undefined,
  };
}

const segments = new Map<number, Buffer>();

/** The bytes of one segment. */
export function segmentOf(content: number): Buffer {
  const known = segments.get(content) ?? Buffer.alloc(SEGMENT_SIZE);
  if (content !== 0 && !segments.has(content)) known.fill(createHash('sha256').update(String(content)).digest());
  segments.set(content, known);
  return known;
}

/** Key agreements are remembered from their first use, which takes its time: see `becomeDeterministic`. */
async function openAll(vault: Vault, run: string): Promise<void> {
  for await (const { key } of vault.store.list(`staging/${run}/`)) {
    const place = placeOf(key);
    await (place.part === 'summary' ? openSummary(vault, run, place.disk) : openPart(vault, place));
  }
}

/** Which content a segment's bytes are; -1 for none that was ever asked for. */
export function contentNumberOf(bytes: Uint8Array): number {
  return [...segments].find(([, known]) => known.equals(bytes))?.[0] ?? -1;
}
