import { randomInt } from 'node:crypto';
import { codeOf, EkkoError } from '#vault/errors.ts';
import type { Extent } from '#vault/format/extents.ts';
import type { RecipientKind } from '#vault/format/key-epoch.ts';
import type { Manifest } from '#vault/format/manifest.ts';
import { epochOfPack, INDEX_READ_SIZE, openPackIndex, packName } from '#vault/format/pack.ts';
import { epochOfRecord } from '#vault/format/record.ts';
import type { CommittedPoint } from '#vault/journal/state.ts';
import { readManifest, readPage, readPoint } from '#vault/records.ts';
import { openDiskReader } from '#vault/restore/read-disk.ts';
import { type ContentFolder, contentKey, Folder } from '#vault/store/object-names.ts';
import { openStore } from '#vault/store/open-store.ts';
import type { Vault } from '#vault/vault.ts';
import { SEGMENTS_PER_PAGE } from '#vault/words.ts';
import { openWholeVault, remarkOnCopy } from '../open-command-vault.ts';
import type { CommandContext } from '../run-command.ts';

/** What a drill with a key came to. Nothing of it is kept, and nothing is written. */
export interface DrillReport {
  readonly vault: string;
  /** Fingerprint and kind of the key. */
  readonly key: string;
  readonly kind: RecipientKind;
  /** Entries of the journal, each opened. */
  readonly entries: number;
  readonly points: number;
  /** Oldest first. */
  readonly epochs: readonly EpochDrill[];
  /** Segments that were opened and compared with their ids. */
  readonly segments: number;
  /** What could not be opened, and why. */
  readonly missing: readonly string[];
}

export interface EpochDrill {
  readonly epoch: number;
  readonly at: string;
  /** Objects under its keys that were opened. */
  readonly objects: number;
}

/** Packs whose epoch is looked at for one of which nothing was opened yet. */
const MOST_HEADS = 32;

/**
 * Opens the vault with the key given, every entry of its journal, and from each key epoch one restore point with its manifest, a
 * page, a pack and a segment, chosen by chance. Throws what opening the vault throws: `wrong-key` above all.
 */
export async function checkKey(url: string, context: CommandContext): Promise<DrillReport> {
  const vault = await openWholeVault(await openStore(url), context);
  remarkOnCopy(vault, context);
  const { position, epochs, points } = vault.journal.state();
  const drill = newDrill(vault);
  for (const point of pointsToOpen(vault)) await drill.openPoint(point);
  await drill.openOlder(epochs.map(({ epoch }) => epoch));
  return {
    ...{
      vault: vault.id,
      key: vault.holder?.recipient ?? '',
      kind: context.by,
      entries: position,
      points: points.size,
    },
    epochs: epochs.map(({ epoch, at }) => ({ epoch, at, objects: drill.opened(epoch) })),
    ...drill.result(),
  };
}

/** By chance one point of those that were committed while each epoch was in force. */
function pointsToOpen({ journal }: Vault): CommittedPoint[] {
  const { epochs, points } = journal.state();
  return epochs.flatMap(({ position }, at) => {
    const end = epochs[at + 1]?.position ?? Number.POSITIVE_INFINITY;
    const committed = [...points.values()].filter((point) => point.position > position && point.position < end);
    const chosen = anyOf(committed);
    return chosen === undefined ? [] : [chosen];
  });
}

function newDrill(vault: Vault) {
  const opened = new Map<number, number>();
  const packs = new Set<string>();
  const missing: string[] = [];
  let segments = 0;
  const count = (epoch: number) => opened.set(epoch, (opened.get(epoch) ?? 0) + 1);
  const countRecord = async (folder: ContentFolder, name: string) =>
    count(epochOfRecord(await vault.store.get(contentKey(folder, name), { start: 0, end: 16 })));

  async function attempt(what: string, open: () => Promise<void>): Promise<void> {
    try {
      await open();
    } catch (error) {
      if (codeOf(error) === undefined || !(error instanceof Error)) throw error;
      missing.push(`${what}: ${error.message}`);
    }
  }

  async function openDisk(name: string): Promise<void> {
    const manifest = await readManifest(vault, name);
    await countRecord(Folder.manifests, name);
    const pages = manifest.pages.flatMap((page, number) => (page === undefined ? [] : [{ page, number }]));
    const chosen = anyOf(pages);
    if (chosen === undefined) return;
    const extents = (await readPage(vault, chosen.page)).filter(({ pack }) => pack !== undefined);
    await countRecord(Folder.pages, chosen.page);
    for (const { pack } of extents) if (pack !== undefined) packs.add(pack);
    const extent = anyOf(extents);
    if (extent !== undefined) await openSegment(manifest, chosen.number, extent);
  }

  /** The reader compares it with its id. */
  async function openSegment(
    manifest: Manifest,
    page: number,
    { start, count: length, pack = '' }: Extent,
  ): Promise<void> {
    const first = page * SEGMENTS_PER_PAGE + start + randomInt(length);
    const reader = openDiskReader(vault, { bestEffort: false });
    for await (const piece of reader.read(manifest, { first, count: 1 })) if (piece.kind === 'data') segments++;
    await openPack(pack, undefined);
  }

  /** Opens the index of a pack, if it is of one of the `wanted` epochs. */
  async function openPack(reference: string, wanted: ReadonlySet<number> | undefined): Promise<void> {
    const key = contentKey(Folder.packs, packName(reference));
    // A pack that was moved away is not needed any more.
    if (vault.journal.state().moved.has(packName(reference))) return;
    const head = await vault.store.get(key, { start: 0, end: wanted === undefined ? INDEX_READ_SIZE : 16 });
    if (head.length < 12) throw new EkkoError('bad-format', `${key} has ${head.length} bytes; that is no pack.`);
    const epoch = epochOfPack(head);
    if (wanted !== undefined) return wanted.has(epoch) ? openPack(reference, undefined) : undefined;
    openPackIndex(vault.keyring, head, key, reference);
    count(epoch);
  }

  return {
    opened: (epoch: number) => opened.get(epoch) ?? 0,
    result: () => ({ segments, missing }),
    openPoint: ({ run, point, disks }: CommittedPoint) =>
      attempt(`Restore point ${run}`, async () => {
        await readPoint(vault, point);
        await countRecord(Folder.points, point);
        const disk = anyOf(disks);
        if (disk !== undefined) await openDisk(disk.manifest);
      }),
    /** Epochs that have no point of their own any more may still have packs that later points need. */
    async openOlder(epochs: readonly number[]) {
      const wanted = new Set(epochs.filter((epoch) => !opened.has(epoch)));
      if (wanted.size === 0) return;
      for (const pack of [...packs].slice(0, MOST_HEADS))
        await attempt(`Pack ${packName(pack)}`, () => openPack(pack, wanted));
    },
  };
}

function anyOf<T>(list: readonly T[]): T | undefined {
  return list.length === 0 ? undefined : list[randomInt(list.length)];
}
