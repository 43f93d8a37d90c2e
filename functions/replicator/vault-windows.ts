import { LRUCache } from 'lru-cache';
import type { Manifest } from '#vault/format/manifest.ts';
import { readManifest } from '#vault/records.ts';
import { openDiskReader } from '#vault/restore/read-disk.ts';
import { intersect } from '#vault/staging/segment-runs.ts';
import type { Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE, type SegmentRun } from '#vault/words.ts';

/** Reads a disk out of a vault as an exporter asks for it: in small ascending pieces, several at once. */
export interface Windows {
  /** Fills `into` with the disk's bytes from `offset` on. Only what `runs` name is fetched; the rest reads as zeros. */
  read(offset: number, into: Uint8Array): Promise<void>;
}

/** What is fetched in one go: few large requests, though what is asked for is small. */
const WINDOW = 16 * 1024 * 1024;
const WINDOW_SEGMENTS = WINDOW / SEGMENT_SIZE;
/** One is being read, the next is on its way. */
const KEPT = 3;

/** Of the disk that has this manifest. Every segment is compared with its id. */
export function openWindows(vault: Vault, manifest: string, runs: readonly SegmentRun[]): Windows {
  const reader = openDiskReader(vault, { bestEffort: false });
  const map = readManifest(vault, manifest);
  // Awaited by each read; until then its failure is not unhandled.
  map.catch(() => undefined);
  const kept = new LRUCache<number, Promise<Buffer>>({ max: KEPT });

  const window = (index: number): Promise<Buffer> => {
    const held = kept.get(index) ?? load(index);
    kept.set(index, held);
    return held;
  };

  async function load(index: number): Promise<Buffer> {
    const bytes = Buffer.alloc(WINDOW);
    const wanted = intersect(runs, [{ first: index * WINDOW_SEGMENTS, count: WINDOW_SEGMENTS }]);
    for (const run of wanted) await fill(bytes, index * WINDOW, await map, run);
    return bytes;
  }

  async function fill(bytes: Buffer, start: number, disk: Manifest, run: SegmentRun): Promise<void> {
    for await (const piece of reader.read(disk, run)) {
      if (piece.kind !== 'data') continue;
      bytes.set(piece.bytes, piece.offset - start);
      piece.done();
    }
  }

  return {
    async read(offset, into) {
      for (let at = 0; at < into.length; ) {
        const [index, within] = [Math.floor((offset + at) / WINDOW), (offset + at) % WINDOW];
        const count = Math.min(into.length - at, WINDOW - within);
        into.set((await window(index)).subarray(within, within + count), at);
        at += count;
      }
    },
  };
}
