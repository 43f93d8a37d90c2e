import { randomBytes } from 'node:crypto';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { SEGMENT_SIZE, SEGMENTS_PER_PAGE } from '#vault/words.ts';
import { type RestoreRequest, restoreDisk } from '../../../host-exporter/restore/restore-disk.ts';
import { newTestVault, type TestVault, type WrittenPoint } from '../../vault-builder.ts';

/** A disk of two pages with some data in each, in a vault that holds another such disk as well. */
export interface StoredDisk {
  readonly vault: TestVault;
  readonly size: number;
  readonly manifest: string;
  readonly point: WrittenPoint;
  /** By segment; what is missing is zero. */
  readonly contents: ReadonlyMap<number, Buffer>;
}

const DATA_SEGMENTS = [...range(3, 40), ...range(SEGMENTS_PER_PAGE + 5, 25)];
/** The last segment is short. */
const SIZE = (SEGMENTS_PER_PAGE + 30) * SEGMENT_SIZE - 1000;

/** 4 segments a frame, 10 a pack: every pack has a frame that is not full, and disks have packs of their own. */
const LAYOUT = { segmentsPerFrame: () => 4, segmentsPerPack: () => 10, dedupe: true };

export async function storeDisk(store: ObjectStore): Promise<StoredDisk> {
  const vault = newTestVault(store);
  const other = await vault.writeDisk({ size: SIZE, segments: segmentsOf(randomContents()) }, LAYOUT);
  await vault.writePoint(new Map([['other', { manifest: other, size: SIZE }]]));
  const contents = randomContents();
  const manifest = await vault.writeDisk({ size: SIZE, segments: segmentsOf(contents) }, LAYOUT);
  const point = await vault.writePoint(new Map([['root', { manifest, size: SIZE }]]));
  return { vault, size: SIZE, manifest, point, contents };
}

/** A request for the disk that runs in this thread, as far as a test does not say otherwise. */
export function requestFor(disk: StoredDisk, path: string, changes: Partial<RestoreRequest> = {}): RestoreRequest {
  return {
    reader: disk.vault,
    point: disk.point.point.id,
    disk: 'root',
    manifest: disk.manifest,
    target: { kind: 'raw', path, overwrite: false },
    threads: undefined,
    bestEffort: false,
    resume: false,
    durable: false,
    ...changes,
  };
}

export function restored(disk: StoredDisk, path: string, changes: Partial<RestoreRequest> = {}) {
  return restoreDisk(requestFor(disk, path, changes));
}

/**
 * Segments of the raw file at `path` that are not what the disk holds. Looks at those with data, at their neighbours and at the disk's
 * ends; a file that has more blocks than the disk has data is wrong somewhere else.
 */
export async function wrongSegments(disk: StoredDisk, path: string): Promise<number[]> {
  const zeros = Buffer.alloc(SEGMENT_SIZE);
  const file = await open(path);
  try {
    const { size, blocks } = await file.stat();
    if (size !== disk.size) throw new Error(`${path} has ${size} bytes, the disk ${disk.size}`);
    if (blocks * 512 > disk.contents.size * SEGMENT_SIZE + 65_536) throw new Error(`${path} has ${blocks} blocks`);
    const wrong: number[] = [];
    for (const segment of segmentsOfInterest(disk)) {
      const found = Buffer.alloc(Math.min(SEGMENT_SIZE, size - segment * SEGMENT_SIZE), 0xee);
      await file.read(found, 0, found.length, segment * SEGMENT_SIZE);
      if (!found.equals((disk.contents.get(segment) ?? zeros).subarray(0, found.length))) wrong.push(segment);
    }
    return wrong;
  } finally {
    await file.close();
  }
}

function segmentsOfInterest({ contents, size }: StoredDisk): number[] {
  const last = Math.ceil(size / SEGMENT_SIZE) - 1;
  const near = [...contents.keys()].flatMap((segment) => [segment - 1, segment, segment + 1]);
  return [...new Set([0, ...near, last])].filter((segment) => segment <= last).sort((a, b) => a - b);
}

/** A folder that is gone after the test. */
export async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ekko-test-restore-'));
  try {
    await test(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The segments that byte ranges cover. */
export function segmentsIn(ranges: readonly { readonly offset: number; readonly length: number }[]): number[] {
  return ranges.flatMap(({ offset, length }) => range(offset / SEGMENT_SIZE, Math.ceil(length / SEGMENT_SIZE)));
}

export function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

function randomContents(): Map<number, Buffer> {
  return new Map(DATA_SEGMENTS.map((start) => [start, randomSegment(start)]));
}

/** Half of it does not compress. The end of the disk's last segment is zero, as padding is. */
function randomSegment(start: number): Buffer {
  const bytes = Buffer.concat([randomBytes(SEGMENT_SIZE / 2), Buffer.alloc(SEGMENT_SIZE / 2, start)]);
  const end = SIZE - start * SEGMENT_SIZE;
  return end < SEGMENT_SIZE ? bytes.fill(0, end) : bytes;
}

function* segmentsOf(contents: ReadonlyMap<number, Buffer>) {
  for (const [start, bytes] of contents) yield { start, bytes };
}
