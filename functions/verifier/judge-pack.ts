import { segmentId } from '#vault/dedupe/segment-id.ts';
import { codeOf, EkkoError } from '#vault/errors.ts';
import {
  type FrameEntry,
  ID_SIZE,
  INDEX_READ_SIZE,
  openFrame,
  openPackIndex,
  type PackIndex,
  type PackReference,
} from '#vault/format/pack.ts';
import type { EpochKeys, Keyring } from '#vault/keys/epoch-keys.ts';
import { release } from '#vault/memory.ts';
import { SEGMENT_SIZE, type SegmentRun } from '#vault/words.ts';
import { type Problem, problemOf } from './problem.ts';

/** How pages name a pack, and how many segments they expect in it at least. */
export interface PackUse {
  readonly reference: PackReference;
  readonly segments: number;
}

export interface PackVerdict {
  /** Segments that were looked at. */
  readonly segments: number;
  readonly problem: Problem | undefined;
}

/** Looks at a pack as its bytes come by; holds a frame's worth of them and the index. */
export interface PackJudge {
  /** The next bytes, which may be given back afterwards. */
  add(piece: Buffer): void;
  /** Call once, after the last byte. */
  verdict(): PackVerdict;
}

const EPOCH_AT = 8;

/** Opens the index, which must be the one that every use means, every frame, and checks every segment's id. */
export function newPackJudge(keyring: Keyring, key: string, uses: readonly PackUse[]): PackJudge {
  /** Bytes from `at` on that have not been looked at. */
  let rest = Buffer.alloc(0);
  let at = 0;
  let opened: { readonly index: PackIndex; readonly keys: EpochKeys } | undefined;
  let useless: Problem | undefined;
  let next = 0;
  const losses = newLosses();

  function openIndex(): void {
    if (opened !== undefined || useless !== undefined) return;
    try {
      opened = { index: openIndexFor(keyring, rest, key, uses), keys: keyring.epoch(rest.readUInt32LE(EPOCH_AT), key) };
    } catch (error) {
      useless = problemOf(error);
    }
  }

  function judgeFrames(last: boolean): void {
    if (opened === undefined) return;
    const { index, keys } = opened;
    for (let entry = index.frames[next]; entry !== undefined; entry = index.frames[++next]) {
      const from = entry.offset - at;
      if (!last && from + entry.length > rest.length) break;
      losses.judge(entry, key, () => wrongSegments(rest.subarray(from, from + entry.length), index, entry, keys, key));
    }
    const kept = Math.min((index.frames[next]?.offset ?? at + rest.length) - at, rest.length);
    rest = rest.subarray(kept);
    at += kept;
  }

  return {
    add(piece) {
      if (useless !== undefined) return;
      // A copy, even of a piece alone: the caller gives its memory back.
      rest = Buffer.concat([rest, piece]);
      if (rest.length >= INDEX_READ_SIZE) openIndex();
      judgeFrames(false);
    },
    verdict() {
      openIndex();
      judgeFrames(true);
      return { segments: opened?.index.segments ?? 0, problem: useless ?? losses.problem() };
    },
  };
}

function openIndexFor(keyring: Keyring, bytes: Buffer, key: string, uses: readonly PackUse[]): PackIndex {
  const index = openPackIndex(keyring, bytes, key);
  for (const { reference, segments } of uses) {
    openPackIndex(keyring, bytes, key, reference);
    if (segments <= index.segments) continue;
    throw new EkkoError('damaged', `${key} has ${index.segments} segments, pages name ${segments}.`);
  }
  return index;
}

function newLosses() {
  const lost: SegmentRun[] = [];
  let message: string | undefined;
  return {
    judge(entry: FrameEntry, key: string, find: () => SegmentRun[]): void {
      try {
        const wrong = find();
        lost.push(...wrong);
        if (wrong[0]) message ??= `Segment ${wrong[0].first} of ${key} is not the one its id says.`;
      } catch (error) {
        if (codeOf(error) === undefined) throw error;
        lost.push({ first: entry.firstSegment, count: entry.segments });
        message ??= problemOf(error).message;
      }
    },
    problem: (): Problem | undefined => (message === undefined ? undefined : { code: 'damaged', message, lost }),
  };
}

function wrongSegments(
  stored: Buffer,
  index: PackIndex,
  entry: FrameEntry,
  keys: EpochKeys,
  key: string,
): SegmentRun[] {
  const plain = openFrame(index, entry, stored, key);
  const wrong: SegmentRun[] = [];
  for (let i = 0; i < entry.segments; i++) {
    const number = entry.firstSegment + i;
    const id = segmentId(keys, plain.subarray(i * SEGMENT_SIZE, (i + 1) * SEGMENT_SIZE));
    if (!id.equals(index.ids.subarray(number * ID_SIZE, (number + 1) * ID_SIZE)))
      wrong.push({ first: number, count: 1 });
  }
  release(plain);
  return wrong;
}
