import { segmentId } from '../dedupe/segment-id.ts';
import { EkkoError } from '../errors.ts';
import { type FrameEntry, ID_SIZE, openFrame } from '../format/pack.ts';
import { release } from '../memory.ts';
import { SEGMENT_SIZE } from '../words.ts';
import type { TrustedPack } from './trusted-pack.ts';

/** A frame's bytes as stored. */
export interface StoredFrame {
  readonly bytes: Uint8Array;
  /** They have had their last use. */
  done(): void;
}

/** A frame on its way: fetched, then opened once, however often the disk uses it. */
export interface Frame {
  readonly pack: TrustedPack;
  readonly entry: FrameEntry;
  /** Whether its bytes must be fetched before it is opened. */
  readonly wanted: boolean;
  /** Gives it its bytes, or the reason why there are none. */
  fetched(result: StoredFrame | { readonly failure: unknown }): void;
  /** Segments `[from, to)` of the frame, opened and decompressed. Throws why not: `damaged`, `bad-format`, or the failed fetch. */
  segments(from: number, to: number): Buffer;
  /** Whether a segment of the frame is the one that its id says. Throws as `segments`. */
  hasItsId(segment: number): boolean;
  /** Each user holds it; when all have dropped it, its memory is given back, and it would have to be fetched again. */
  hold(): void;
  drop(): void;
}

export function newFrame(pack: TrustedPack, entry: FrameEntry): Frame {
  let stored: StoredFrame | undefined;
  let plain: Buffer | undefined;
  let failure: unknown;
  /** Bit `i`: segment `i` has been compared with its id. */
  let checked = 0;
  let users = 0;

  function forgetStored(): void {
    stored?.done();
    stored = undefined;
  }

  function open(): Buffer {
    if (plain !== undefined) return plain;
    if (stored === undefined) throw failure ?? new EkkoError('store-failed', `${pack.key} was not fetched.`);
    try {
      plain = openFrame(pack.index, entry, stored.bytes, pack.key);
      return plain;
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      forgetStored();
    }
  }

  return {
    pack,
    entry,
    get wanted() {
      return plain === undefined && stored === undefined;
    },
    fetched(result) {
      forgetStored();
      if ('failure' in result) failure = result.failure;
      else stored = result;
    },
    segments: (from, to) => open().subarray(from * SEGMENT_SIZE, to * SEGMENT_SIZE),
    hasItsId(segment) {
      if (checked & (1 << segment)) return true;
      const bytes = open().subarray(segment * SEGMENT_SIZE, (segment + 1) * SEGMENT_SIZE);
      const at = (entry.firstSegment + segment) * ID_SIZE;
      if (!segmentId(pack.epoch, bytes).equals(pack.index.ids.subarray(at, at + ID_SIZE))) return false;
      checked |= 1 << segment;
      return true;
    },
    hold() {
      users++;
    },
    drop() {
      if (--users > 0) return;
      forgetStored();
      if (plain !== undefined) release(plain);
      plain = undefined;
    },
  };
}
