import { createHash, randomBytes } from 'node:crypto';
import type { Extent } from '#vault/format/extents.ts';
import { overlayExtents } from '#vault/format/page.ts';
import { writeManifest, writePage, writePoint } from '#vault/records.ts';
import { startRun } from '#vault/runs.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import type { Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE, SEGMENTS_PER_PAGE, SEGMENTS_PER_PART } from '#vault/words.ts';

/** A disk's history as a vault would hold it after many backups. */
export interface SyntheticHistory {
  readonly segments: number;
  readonly points: number;
  /** Segments that change from one point to the next: runs of 16, scattered over the whole disk. */
  readonly changed: number;
}

const CHANGED_RUN = 16;
const GROUP = 'synthetic';

/** A pack that is being filled. Packs are names only: nobody reads one that is live. */
function newFiller(vault: Vault) {
  let left = 0;
  let pack = '';
  const packs: string[] = [];
  return {
    packs,
    async take(count: number): Promise<{ pack: string; first: number; count: number }> {
      if (left === 0) {
        const name = randomBytes(32).toString('hex');
        packs.push(name);
        await vault.store.create(
          contentKey(Folder.packs, name),
          [Buffer.from('a pack that nobody reads')],
          NOT_DURABLE,
        );
        pack = name + randomBytes(16).toString('hex');
        left = SEGMENTS_PER_PART;
      }
      const taken = Math.min(count, left);
      const first = SEGMENTS_PER_PART - left;
      left -= taken;
      return { pack, first, count: taken };
    },
    end() {
      left = 0;
    },
  };
}

const NOT_DURABLE = { durable: false } as const;

/**
 * Writes the records, journal entries and names of packs of such a history into a vault; the first point is a full one. Resolves to
 * the runs of its points. What changes is decided by the history's numbers alone.
 */
export async function writeHistory(opened: Vault, history: SyntheticHistory): Promise<string[]> {
  const quick = {
    ...opened.store,
    create: (key: string, body: readonly Uint8Array[]) => opened.store.create(key, body, NOT_DURABLE),
  };
  const vault = { ...opened, store: quick };
  const pages = Math.ceil(history.segments / SEGMENTS_PER_PAGE);
  const extents: (readonly Extent[])[] = Array.from({ length: pages }, () => []);
  const names: (string | undefined)[] = Array.from({ length: pages }, () => undefined);
  const filler = newFiller(vault);
  const runs: string[] = [];
  for (let point = 0; point < history.points; point++) {
    const changes = await changesOf(filler, history, point);
    for (const [page, list] of changes) {
      extents[page] = overlayExtents(extents[page] ?? [], list);
      names[page] = await writePage(vault, extents[page] ?? []);
    }
    filler.end();
    const manifest = await writeManifest(vault, { diskSize: history.segments * SEGMENT_SIZE, pages: names });
    runs.push(await commit(vault, manifest, history, point));
  }
  return runs;
}

async function changesOf(
  filler: ReturnType<typeof newFiller>,
  { segments, changed }: SyntheticHistory,
  point: number,
): Promise<Map<number, Extent[]>> {
  const wanted = point === 0 ? [{ start: 0, count: segments }] : scattered(segments, changed, point);
  const byPage = new Map<number, Extent[]>();
  for (const { start, count } of wanted) {
    for (let at = start; at < start + count; ) {
      const page = Math.floor(at / SEGMENTS_PER_PAGE);
      const most = Math.min(start + count, (page + 1) * SEGMENTS_PER_PAGE) - at;
      const { pack, first, count: taken } = await filler.take(most);
      const list = byPage.get(page) ?? [];
      byPage.set(page, list);
      list.push({ start: at - page * SEGMENTS_PER_PAGE, count: taken, pack, first });
      at += taken;
    }
  }
  return byPage;
}

/** Runs that ascend and do not touch. */
function scattered(segments: number, changed: number, point: number): { start: number; count: number }[] {
  const slots = Math.floor(segments / CHANGED_RUN);
  const wanted = Math.max(1, Math.round(changed / CHANGED_RUN));
  const chosen = new Set<number>();
  for (let i = 0; chosen.size < Math.min(wanted, slots); i++) chosen.add(randomOf(`${point} ${i}`) % slots);
  return [...chosen].sort((a, b) => a - b).map((slot) => ({ start: slot * CHANGED_RUN, count: CHANGED_RUN }));
}

function randomOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32LE();
}

async function commit(vault: Vault, manifest: string, { segments }: SyntheticHistory, point: number): Promise<string> {
  const takenAt = new Date(Date.UTC(2026, 0, 1) + point * 86_400_000);
  const run = await startRun(vault, { group: GROUP, disks: ['disk'], host: 'h', process: '1@b' }, takenAt);
  const size = segments * SEGMENT_SIZE;
  const at = takenAt.toISOString();
  const record = await writePoint(vault, {
    ...{ id: run, group: GROUP, takenAt: at },
    disks: [
      {
        ...{
          name: 'disk',
          manifest,
          diskSize: size,
          origin: 'synthetic',
          base: undefined,
          fullReason: 'first-backup',
          takenAt: at,
        },
        ...{ consistency: 'crash', consistencyNote: '', frozenMs: 0, changedBytes: 0, newBytes: 0, storedBytes: 0 },
        assurance: { auditedSegments: 0, auditFailures: 0 },
      },
    ],
  });
  const disks = [{ name: 'disk', size, manifest }];
  await vault.journal.append(() => ({
    type: 'point-committed',
    run,
    group: GROUP,
    point: record,
    takenAt: at,
    at,
    disks,
  }));
  return run;
}
