/**
 * The NBD protocol's bytes, as far as a client needs them (NetworkBlockDevice/nbd doc/proto.md, QEMU docs/interop/nbd.rst).
 * Pure: parsers are generators that yield the buffer they want filled next, so they know nothing of sockets.
 */
import { EkkoError } from '#vault/errors.ts';

/** A parser: yields a buffer, is resumed once all of that buffer has been filled. */
export type Parser<T> = Generator<Uint8Array, T, void>;

export interface Negotiated {
  /** Of the export, in bytes. */
  readonly size: number;
  readonly readOnly: boolean;
  /** Largest READ or WRITE in bytes. */
  readonly largestRequest: number;
  /** Ids of the metadata contexts, by name. */
  readonly contexts: ReadonlyMap<string, number>;
}

export const command = { read: 0, write: 1, disconnect: 2, flush: 3, writeZeroes: 6, blockStatus: 7 } as const;
export const chunk = { none: 0, offsetData: 1, offsetHole: 2, blockStatus: 5 } as const;
export const CHUNK_DONE = 1;
export const CHUNK_ERROR_BIT = 0x8000;
export const SIMPLE_REPLY_MAGIC = 0x67446698;
export const STRUCTURED_REPLY_MAGIC = 0x668e33ef;

const REQUEST_MAGIC = 0x25609513;
const GREETING_MAGIC = 0x4e42444d41474943n;
const OPTION_MAGIC = 0x49484156454f5054n;
const OPTION_REPLY_MAGIC = 0x3e889045565a9n;
const FIXED_NEWSTYLE = 1;
const NO_ZEROES = 2;
const option = { go: 7, structuredReply: 8, setMetaContext: 10 } as const;
const reply = { ack: 1, info: 3, metaContext: 4 } as const;
const REPLY_ERROR_BIT = 0x80000000;
const info = { export: 0, blockSize: 3 } as const;
const TRANSMISSION_READ_ONLY = 2;
/** What the specification lets a client assume of a server that names no block sizes. */
const DEFAULT_LARGEST_REQUEST = 32 * 1024 * 1024;
/** No honest answer to an option is longer; the specification bounds strings to 4 KiB. */
const LARGEST_OPTION_REPLY = 16 * 1024;

const errorNames: ReadonlyMap<number, string> = new Map([
  [1, 'EPERM'],
  [5, 'EIO'],
  [12, 'ENOMEM'],
  [22, 'EINVAL'],
  [28, 'ENOSPC'],
  [75, 'EOVERFLOW'],
  [95, 'ENOTSUP'],
  [108, 'ESHUTDOWN'],
]);

/** The name of an NBD error number. */
export function errorName(code: number): string {
  return errorNames.get(code) ?? `error ${code}`;
}

/** The bytes as a DataView; NBD is big-endian throughout, which is DataView's default. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A 64-bit number that must be usable as an offset or a size. */
export function readSafe(view: DataView, at: number, what: string): number {
  const value = view.getBigUint64(at);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw refused(`${what} is ${value}`);
  return Number(value);
}

/** Asks for `length` bytes and gives them. */
export function* take(length: number): Parser<Uint8Array> {
  const bytes = new Uint8Array(length);
  if (length > 0) yield bytes;
  return bytes;
}

export function refused(found: string): EkkoError {
  return new EkkoError('bad-format', `The NBD server broke the protocol: ${found}`);
}

/** The 28-byte header of a request. */
export function encodeRequest(type: number, cookie: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(28);
  const view = viewOf(bytes);
  view.setUint32(0, REQUEST_MAGIC);
  view.setUint16(6, type);
  view.setBigUint64(8, BigInt(cookie));
  view.setBigUint64(16, BigInt(offset));
  view.setUint32(24, length);
  return bytes;
}

/** Fixed newstyle handshake with structured replies, the metadata contexts asked for, and GO. Throws `bad-format`, `qemu-failed`. */
export function* negotiate(
  send: (bytes: Uint8Array) => void,
  exportName: string,
  contexts: readonly string[],
): Parser<Negotiated> {
  yield* greet(send);
  send(encodeOption(option.structuredReply, new Uint8Array(0)));
  yield* expectAck(option.structuredReply, 'structured replies');
  const ids = contexts.length > 0 ? yield* setContexts(send, exportName, contexts) : new Map<string, number>();
  send(encodeOption(option.go, encodeGo(exportName)));
  return { ...(yield* receiveGo(exportName)), contexts: ids };
}

function* greet(send: (bytes: Uint8Array) => void): Parser<void> {
  const view = viewOf(yield* take(18));
  if (view.getBigUint64(0) !== GREETING_MAGIC || view.getBigUint64(8) !== OPTION_MAGIC) {
    throw refused('the greeting is not that of a newstyle server');
  }
  const flags = view.getUint16(16) & (FIXED_NEWSTYLE | NO_ZEROES);
  if ((flags & FIXED_NEWSTYLE) === 0) throw refused('it offers no fixed newstyle negotiation');
  const answer = new Uint8Array(4);
  viewOf(answer).setUint32(0, flags);
  send(answer);
}

function* setContexts(
  send: (bytes: Uint8Array) => void,
  exportName: string,
  contexts: readonly string[],
): Parser<Map<string, number>> {
  send(encodeOption(option.setMetaContext, encodeContexts(exportName, contexts)));
  const ids = new Map<string, number>();
  for (;;) {
    const { type, body } = yield* receiveOption(option.setMetaContext, `metadata contexts ${contexts.join(', ')}`);
    if (type === reply.ack) break;
    if (type !== reply.metaContext || body.length < 4) throw refused('an answer to SET_META_CONTEXT makes no sense');
    ids.set(textFrom(body.subarray(4)), viewOf(body).getUint32(0));
    if (ids.size > contexts.length) throw refused('it selected more metadata contexts than were asked for');
  }
  const missing = contexts.filter((name) => !ids.has(name));
  if (missing.length === 0) return ids;
  throw new EkkoError('qemu-failed', `NBD export "${exportName}" has no metadata context ${missing.join(', ')}`);
}

function* receiveGo(exportName: string): Parser<Omit<Negotiated, 'contexts'>> {
  let size: number | undefined;
  let readOnly = false;
  let largestRequest = DEFAULT_LARGEST_REQUEST;
  for (;;) {
    const { type, body } = yield* receiveOption(option.go, `export "${exportName}"`);
    if (type === reply.ack) break;
    if (type !== reply.info || body.length < 2) throw refused('an answer to GO makes no sense');
    const view = viewOf(body);
    const kind = view.getUint16(0);
    if (kind === info.export && body.length === 12) {
      size = readSafe(view, 2, 'the size of the export');
      readOnly = (view.getUint16(10) & TRANSMISSION_READ_ONLY) !== 0;
    } else if (kind === info.blockSize && body.length === 14) {
      largestRequest = Math.min(view.getUint32(10), DEFAULT_LARGEST_REQUEST);
    }
  }
  if (size === undefined || largestRequest < 512) throw refused('it did not say how large the export is');
  return { size, readOnly, largestRequest };
}

function* expectAck(id: number, what: string): Parser<void> {
  const { type } = yield* receiveOption(id, what);
  if (type !== reply.ack) throw refused(`it answered option ${id} with reply type ${type}`);
}

function* receiveOption(id: number, what: string): Parser<{ type: number; body: Uint8Array }> {
  const view = viewOf(yield* take(20));
  const [magic, answered, type, length] = [
    view.getBigUint64(0),
    view.getUint32(8),
    view.getUint32(12),
    view.getUint32(16),
  ];
  if (magic !== OPTION_REPLY_MAGIC || answered !== id) throw refused(`no answer to option ${id}`);
  if (length > LARGEST_OPTION_REPLY) throw refused(`an answer of ${length} bytes to option ${id}`);
  const body = yield* take(length);
  if ((type & REPLY_ERROR_BIT) === 0) return { type, body };
  const words = textFrom(body) || `reply type 0x${type.toString(16)}`;
  throw new EkkoError('qemu-failed', `The NBD server refused ${what}: ${words}`);
}

function encodeOption(id: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16 + body.length);
  const view = viewOf(bytes);
  view.setBigUint64(0, OPTION_MAGIC);
  view.setUint32(8, id);
  view.setUint32(12, body.length);
  bytes.set(body, 16);
  return bytes;
}

function encodeGo(exportName: string): Uint8Array {
  return Buffer.concat([sized(exportName), uint16(1), uint16(info.blockSize)]);
}

function encodeContexts(exportName: string, contexts: readonly string[]): Uint8Array {
  return Buffer.concat([sized(exportName), uint32(contexts.length), ...contexts.map(sized)]);
}

function sized(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'utf8');
  return Buffer.concat([uint32(bytes.length), bytes]);
}

function uint16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff);
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value);
  return bytes;
}

/** Text that a server sent, fit for a message: bounded, without control characters. */
export function textFrom(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('utf8', 0, 4096)
    .replaceAll(/\p{Cc}/gu, ' ');
}
