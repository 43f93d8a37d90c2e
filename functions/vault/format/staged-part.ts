import { createCipheriv, type KeyObject } from 'node:crypto';
import { EkkoError } from '../errors.ts';
import { type AgreedKey, type Agreement, HPKE_ENC_SIZE } from '../keys/hpke.ts';
import { release } from '../memory.ts';
import { SEGMENT_SIZE, SEGMENTS_PER_FRAME, SEGMENTS_PER_PART, type SegmentRun, segmentsOf } from '../words.ts';
import { ByteReader, u32Bytes, u64Bytes } from './bytes.ts';
import { decodeKnownData, encodeKnownData, type KnownData, LARGEST_KNOWN_DATA } from './known-data.ts';
import { checkDiskSize } from './manifest.ts';
import { RUNS_PER_PART } from './receipt.ts';
import { countedNonce, HEADER_NONCE, open, seal, TAG_SIZE } from './sealing.ts';

/** A staged part: one sealed, bounded object of an export. Layout: `docs/format.md`, "Staged parts". */
const MAGIC = 'EKKOPRT1';
const PREFIX_SIZE = 16 + HPKE_ENC_SIZE;
const NAME_SIZE = 32;
const RUN_SIZE = 9;
/** Data is sealed in chunks of 16 segments; only the last may be shorter. */
export const CHUNK_SEGMENTS = SEGMENTS_PER_FRAME;
const CHUNK_SIZE = CHUNK_SEGMENTS * SEGMENT_SIZE;
export const SEALED_CHUNK_SIZE = CHUNK_SIZE + TAG_SIZE;

/**
 * What a run of a part is. `audit`: clean by the bitmap, carried to be compared with the base. `known`: data that the vault has, told by
 * its ids.
 */
export const RunKind = { data: 0, zero: 1, audit: 2, known: 3 } as const;
export type RunKind = (typeof RunKind)[keyof typeof RunKind];

export interface PartRun extends SegmentRun {
  readonly kind: RunKind;
}

export interface PartHeader {
  /** Bytes. */
  readonly diskSize: number;
  /** Name of the manifest that the content probably resembles: the disk's state at the run's base or newest restore point. */
  readonly lineage: string | undefined;
  /** Ascending, disjoint. The segments of data and audit runs follow in this order. */
  readonly runs: readonly PartRun[];
  /** Of the known runs, where there are any. */
  readonly known?: KnownData;
}

/** This many first bytes of any staged part hold its prefix and header; no header is longer. */
export const HEADER_READ_SIZE =
  PREFIX_SIZE + 8 + NAME_SIZE + 4 + RUNS_PER_PART * RUN_SIZE + LARGEST_KNOWN_DATA + TAG_SIZE;

/** The agreement that a part's key is bound to: this vault, run, disk and part, and the run's token for the disk. */
export function partAgreement(
  vault: string,
  run: string,
  disk: number,
  part: number | 'summary',
  token: Uint8Array,
): Agreement {
  return { info: `ekko/1 part\0${vault}\0${run}\0${disk}\0${part}`, psk: token, pskId: `${run}/${disk}` };
}

export interface StagedPartWriter {
  /** Adds whole segments to the part's data, in order. `bytes` may be reused when the call returns. */
  addData(bytes: Uint8Array): void;
  /** The object in pieces, header first. Call once, last. */
  finish(header: PartHeader): Uint8Array[];
}

/** Room that the data of a part of `segments` takes when sealed. */
export function sealedDataSize(segments: number): number {
  return segments * SEGMENT_SIZE + Math.ceil(segments / CHUNK_SEGMENTS) * TAG_SIZE;
}

/**
 * Builds one staged part. Data is sealed as it comes, into `memory` (`sealedDataSize` of what will be added), which the part's
 * pieces refer to and which may be used again when the part has been stored.
 */
export function newStagedPart(epoch: number, agreed: AgreedKey, memory: Uint8Array): StagedPartWriter {
  let used = 0;
  let chunk = 0;
  let room = CHUNK_SIZE;
  let cipher = chunkCipher(agreed.key, 0);
  const target = Buffer.from(memory.buffer, memory.byteOffset, memory.byteLength);
  const keep = (sealed: Buffer) => {
    if (used + sealed.length > target.length)
      throw new RangeError(`A staged part outgrows the ${target.length} bytes that were meant for it.`);
    target.set(sealed, used);
    used += sealed.length;
    release(sealed);
  };
  const closeChunk = () => {
    cipher.final();
    keep(cipher.getAuthTag());
    chunk++;
    room = CHUNK_SIZE;
    cipher = chunkCipher(agreed.key, chunk);
  };
  return {
    addData(bytes) {
      for (let at = 0; at < bytes.length; ) {
        const piece = bytes.subarray(at, at + Math.min(bytes.length - at, room));
        keep(cipher.update(piece));
        at += piece.length;
        room -= piece.length;
        if (room === 0) closeChunk();
      }
    },
    finish(header) {
      if (room < CHUNK_SIZE) closeChunk();
      return [...sealHeader(epoch, agreed, encodeHeader(header)), memory.subarray(0, used)];
    },
  };
}

function chunkCipher(key: KeyObject, number: number) {
  return createCipheriv('aes-256-gcm', key, countedNonce(number));
}

function sealHeader(epoch: number, agreed: AgreedKey, header: Uint8Array): Buffer[] {
  const prefix = Buffer.concat([Buffer.from(MAGIC, 'latin1'), u32Bytes([epoch, header.length + TAG_SIZE]), agreed.enc]);
  return [prefix, ...seal(agreed.key, HEADER_NONCE, header, prefix)];
}

/** A part that carries a message instead of data: the disk's export summary. */
export function sealSummary(epoch: number, agreed: AgreedKey, body: Uint8Array): Uint8Array[] {
  return sealHeader(epoch, agreed, body);
}

/** What can be read of a part without its key. */
export interface PartPrefix {
  readonly epoch: number;
  readonly enc: Buffer;
  /** Length of the sealed header, which begins at `headerStart`. */
  readonly headerLength: number;
  readonly headerStart: number;
  readonly prefix: Buffer;
}

/** Throws `bad-format`. */
export function readPartPrefix(bytes: Uint8Array, origin: string): PartPrefix {
  const reader = new ByteReader(bytes, origin);
  reader.magic(MAGIC);
  const epoch = reader.u32();
  const headerLength = reader.count(HEADER_READ_SIZE - PREFIX_SIZE, 'bytes of header');
  const enc = reader.take(HPKE_ENC_SIZE);
  const prefix = Buffer.from(bytes.buffer, bytes.byteOffset, PREFIX_SIZE);
  return { epoch, enc, headerLength, headerStart: PREFIX_SIZE, prefix };
}

/** The opened header bytes of a part or summary. Throws `damaged`: changed, of another place, or from somebody without the run's token. */
export function openPartHeader(
  key: KeyObject,
  { prefix, headerStart, headerLength }: PartPrefix,
  bytes: Uint8Array,
  origin: string,
): Buffer {
  const box = bytes.subarray(headerStart, headerStart + headerLength);
  if (box.length < headerLength) throw new EkkoError('bad-format', `${origin} is cut short: ${bytes.length} bytes.`);
  return open(key, HEADER_NONCE, box, origin, prefix);
}

/** Opens data chunk `number`. Throws `damaged`. */
export function openChunk(key: KeyObject, number: number, box: Uint8Array, origin: string): Buffer {
  return open(key, countedNonce(number), box, `Chunk ${number} of ${origin}`);
}

export function encodeHeader({ diskSize, lineage, runs, known }: PartHeader): Buffer {
  const body = Buffer.alloc(runs.length * RUN_SIZE);
  runs.forEach((run, i) => {
    body.writeUInt32LE(run.first, i * RUN_SIZE);
    body.writeUInt32LE(run.count, i * RUN_SIZE + 4);
    body.writeUInt8(run.kind, i * RUN_SIZE + 8);
  });
  const name = lineage === undefined ? Buffer.alloc(NAME_SIZE) : Buffer.from(lineage, 'hex');
  const told = known === undefined ? [] : [encodeKnownData(known)];
  return Buffer.concat([u64Bytes(diskSize), name, u32Bytes([runs.length]), body, ...told]);
}

/** Throws `part-refused` where runs overlap, go back, leave the disk or carry too much: a part may come from a liar with a token. */
export function decodeHeader(bytes: Uint8Array, origin: string): PartHeader {
  const reader = new ByteReader(bytes, origin);
  const diskSize = checkDiskSize(reader.u64(), origin);
  const name = reader.take(NAME_SIZE);
  const lineage = name.every((byte) => byte === 0) ? undefined : name.toString('hex');
  const count = reader.count(RUNS_PER_PART, 'runs');
  const runs = Array.from({ length: count }, () => ({
    first: reader.u32(),
    count: reader.u32(),
    kind: kindOf(reader),
  }));
  checkRuns(runs, segmentsOf(diskSize), origin);
  const missing = segmentsIn(runs, RunKind.known);
  const known = missing === 0 ? {} : { known: decodeKnownData(reader, missing) };
  reader.end();
  return { diskSize, lineage, runs, ...known };
}

/** Runs whose segments follow the header as data. */
export function carriedRuns(runs: readonly PartRun[]): PartRun[] {
  return runs.filter(({ kind }) => kind === RunKind.data || kind === RunKind.audit);
}

/** Segments that follow the header as data. */
export function carriedSegments(runs: readonly PartRun[]): number {
  return segmentsIn(runs, RunKind.data, RunKind.audit);
}

function segmentsIn(runs: readonly PartRun[], ...kinds: readonly RunKind[]): number {
  return runs.reduce((sum, run) => (kinds.includes(run.kind) ? sum + run.count : sum), 0);
}

function kindOf(reader: ByteReader): RunKind {
  const kind = reader.u8();
  const known = Object.values(RunKind).find((each) => each === kind);
  if (known !== undefined) return known;
  throw reader.refuse(`has a run of unknown kind ${kind}`);
}

function checkRuns(runs: readonly PartRun[], limit: number, origin: string): void {
  let free = 0;
  for (const { first, count } of runs) {
    if (count === 0 || first < free || first + count > limit) {
      throw refused(origin, `claims segments ${first}+${count} of a disk of ${limit} after segment ${free}`);
    }
    free = first + count;
  }
  const told = carriedSegments(runs) + segmentsIn(runs, RunKind.known);
  if (told > SEGMENTS_PER_PART) throw refused(origin, `claims ${told} segments of data, at most ${SEGMENTS_PER_PART}`);
}

function refused(origin: string, found: string): EkkoError {
  return new EkkoError(
    'part-refused',
    `${origin} ${found}. It is left out; the run cannot commit and should be abandoned.`,
  );
}
