import { fetchFrames } from '#vault/restore/fetch-frames.ts';
import { type Frame, newFrame } from '#vault/restore/frame.ts';
import type { PackShelf } from '#vault/restore/trusted-pack.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import type { OfferedPlace } from './needed-segments.ts';
import type { PackDraft } from './pack-draft.ts';
import { problemOf } from './problem.ts';
import { segmentRuns } from './segment-runs.ts';
import type { SegmentSource } from './segment-source.ts';

/** Keeps what is intact in a damaged pack itself, frame by frame. */
export async function keepIntact(shelf: PackShelf, draft: PackDraft): Promise<void> {
  const { pack, needed } = draft;
  for (const entry of pack?.index.frames ?? []) {
    const wanted = range(entry.firstSegment, entry.segments).filter((segment) => needed.segments.has(segment));
    if (pack === undefined || wanted.length === 0) continue;
    const frame = newFrame(pack, entry);
    frame.hold();
    await fetchFrames(shelf, [frame]);
    try {
      for (const segment of wanted) {
        const at = segment - entry.firstSegment;
        if (isIntact(frame, at)) await draft.keep(segment, frame.segments(at, at + 1));
      }
    } finally {
      frame.drop();
    }
  }
}

/** A frame that does not open is what sources are for; a store that cannot be reached is not. */
function isIntact(frame: Frame, segment: number): boolean {
  try {
    return frame.hasItsId(segment);
  } catch (error) {
    if (problemOf(error).code === 'store-failed') throw error;
    return false;
  }
}

interface Wanted {
  readonly draft: PackDraft;
  /** In its pack. */
  readonly segment: number;
  /** Bytes that lie within the disk. */
  readonly length: number;
}

/** What to read of one volume, by number of the disk's segment. */
type WantedSegments = Map<number, Wanted[]>;

/** Asks sources for what is missing: of each segment first one place, then the next. Faults of sources are told by `onFault`. */
export async function askSources(
  drafts: readonly PackDraft[],
  onFault: (message: string) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const most = Math.max(
    0,
    ...drafts.flatMap(({ needed }) => [...needed.segments.values()].map(({ length }) => length)),
  );
  for (let round = 0; round < most; round++) {
    for (const [source, volumes] of wantedIn(drafts, round)) {
      for (const [volume, wanted] of volumes) {
        signal?.throwIfAborted();
        await askVolume(source, volume, wanted, onFault);
      }
    }
  }
}

function wantedIn(drafts: readonly PackDraft[], round: number): Map<SegmentSource, Map<string, WantedSegments>> {
  const wanted = new Map<SegmentSource, Map<string, WantedSegments>>();
  for (const draft of drafts) {
    for (const [segment, places] of draft.needed.segments) {
      const place = places[round];
      if (place !== undefined && isOfUse(draft, segment, place)) add(place, { draft, segment, length: place.length });
    }
  }
  return wanted;

  function add({ source, volume, segment }: OfferedPlace, each: Wanted): void {
    const volumes = wanted.get(source) ?? new Map<string, WantedSegments>();
    wanted.set(source, volumes);
    const segments = volumes.get(volume) ?? new Map<number, Wanted[]>();
    volumes.set(volume, segments);
    segments.set(segment, [...(segments.get(segment) ?? []), each]);
  }
}

/** Without the ids all that vouch for a segment are asked, and nobody else. */
function isOfUse({ pack, isPlaced }: PackDraft, segment: number, { source }: OfferedPlace): boolean {
  return pack === undefined ? source.vouched : !isPlaced(segment) && segment < pack.index.segments;
}

async function askVolume(
  source: SegmentSource,
  volume: string,
  wanted: WantedSegments,
  onFault: (message: string) => void,
): Promise<void> {
  for await (const { segment, bytes } of source.read(volume, segmentRuns(wanted.keys()), onFault)) {
    for (const { draft, segment: own, length } of wanted.get(segment) ?? [])
      await draft.offer(own, clipped(bytes, length));
  }
}

/** A disk may have grown since: what lies behind its old end was zeros then. */
function clipped(bytes: Buffer, length: number): Buffer {
  return length >= SEGMENT_SIZE ? bytes : Buffer.concat([bytes.subarray(0, length)], SEGMENT_SIZE);
}

function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}
