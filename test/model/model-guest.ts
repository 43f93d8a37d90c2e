import type { ChangedBlockSource, DiskPlan, HeldMoment, MomentRequest } from '#vault/staging/changed-block-source.ts';
import { SEGMENT_SIZE, type SegmentRun } from '#vault/words.ts';

/** A guest's disk by content numbers (0 is zero), and its bitmaps: what QEMU is to the exporter, without QEMU. */
export interface ModelGuest extends ChangedBlockSource {
  write(segment: number, content: number): void;
  /** Changes content behind the bitmaps' back. */
  corrupt(segment: number, content: number): void;
  loseBitmaps(): void;
  resize(segments: number): void;
  /** What each moment held, by run: the truth that restore points are compared with. */
  readonly moments: ReadonlyMap<string, Buffer>;
  /** The last plan, for asserting how a backup was made. */
  lastPlan(): DiskPlan | undefined;
  segments(): number;
}

export interface ModelGuestSettings {
  readonly name: string;
  readonly segments: number;
  /** Bytes that the last segment lacks. */
  readonly missing: number;
  /** Whether the exporter's process has died: it then ends no moment. */
  readonly dead: () => boolean;
}

export function newModelGuest({ name, segments, missing, dead }: ModelGuestSettings): ModelGuest {
  let contents = Array.from({ length: segments }, () => 0);
  const bitmaps = new Map<string, Set<number>>();
  const moments = new Map<string, Buffer>();
  let plan: DiskPlan | undefined;
  const size = () => contents.length * SEGMENT_SIZE - missing;

  const choose = ({ known, newest, readAll }: MomentRequest): Pick<DiskPlan, 'base' | 'fullReason'> => {
    if (readAll !== undefined) return { base: undefined, fullReason: readAll };
    const usable = [...bitmaps.keys()].findLast((point) => known(point, name) === size());
    if (usable !== undefined) return { base: usable, fullReason: undefined };
    return { base: undefined, fullReason: newest(name) === undefined ? 'first-backup' : 'bitmap-missing' };
  };

  return {
    moments,
    lastPlan: () => plan,
    segments: () => contents.length,
    write(segment, content) {
      contents[segment % contents.length] = content;
      for (const bitmap of bitmaps.values()) bitmap.add(segment % contents.length);
    },
    corrupt(segment, content) {
      contents[segment % contents.length] = content;
    },
    loseBitmaps: () => bitmaps.clear(),
    resize(count) {
      contents = Array.from({ length: count }, (_, i) => contents[i] ?? 0);
    },
    disks: async () => [{ name, size: size(), origin: 'model' }],
    async take(request): Promise<HeldMoment> {
      const image = imageOf(contents, size());
      const chosen = choose(request);
      const dirty = chosen.base === undefined ? contents.map((_, i) => i) : [...(bitmaps.get(chosen.base) ?? [])];
      const clean = contents.map((_, i) => i).filter((i) => !dirty.includes(i) && contents[i] !== 0);
      plan = {
        disk: { name, size: size(), origin: 'model' },
        ...chosen,
        data: runsOf(dirty.filter((i) => contents[i] !== 0)),
        zero: runsOf(dirty.filter((i) => contents[i] === 0)),
        audit: request.auditShare === 1 ? runsOf(clean) : [],
      };
      moments.set(request.run, image);
      bitmaps.set(request.run, new Set());
      return {
        plans: [plan],
        takenAt: new Date(),
        consistency: 'crash',
        consistencyNote: 'a model has no agent',
        frozenMs: 0,
        async read(_index, offset, length, into) {
          into.fill(0);
          image.copy(into, 0, offset, offset + length);
        },
        async end(outcome) {
          if (dead()) return;
          if (outcome === 'abandoned') bitmaps.delete(request.run);
          else for (const point of bitmaps.keys()) if (point !== request.run) bitmaps.delete(point);
        },
      };
    },
    close: async () => undefined,
  };
}

function runsOf(segments: readonly number[]): SegmentRun[] {
  const runs: { first: number; count: number }[] = [];
  for (const segment of [...segments].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last !== undefined && last.first + last.count === segment) last.count++;
    else runs.push({ first: segment, count: 1 });
  }
  return runs;
}

/** Content `n` is `n` over and over: compressible, and different from every other. */
function imageOf(contents: readonly number[], size: number): Buffer {
  const image = Buffer.alloc(contents.length * SEGMENT_SIZE);
  contents.forEach((content, i) => {
    if (content !== 0) image.fill(`content ${content} `, i * SEGMENT_SIZE, (i + 1) * SEGMENT_SIZE);
  });
  return image.subarray(0, size);
}
