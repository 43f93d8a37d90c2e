/** What comes back during NBD's transmission phase: replies, matched to requests by cookie, each checked against what was asked. */
import { EkkoError } from '#vault/errors.ts';
import {
  CHUNK_DONE,
  CHUNK_ERROR_BIT,
  chunk,
  errorName,
  type Parser,
  readSafe,
  refused,
  SIMPLE_REPLY_MAGIC,
  STRUCTURED_REPLY_MAGIC,
  take,
  textFrom,
  viewOf,
} from './nbd-protocol.ts';

/** Consecutive bytes of one status: `flags` as the context defines them. */
export interface NbdExtent {
  readonly length: number;
  readonly flags: number;
}

interface RequestBase {
  /** For messages: `READ of 65536 bytes at 0`. */
  readonly what: string;
  readonly offset: number;
  readonly length: number;
  /** What the server said is wrong; known before the reply is complete. */
  refusal?: EkkoError;
  resolve(): void;
  reject(error: EkkoError): void;
}

export interface ReadRequest extends RequestBase {
  readonly kind: 'read';
  readonly into: Uint8Array;
  /** What has been received so far: start and end in `into`. */
  readonly received: { readonly start: number; readonly end: number }[];
}

export interface StatusRequest extends RequestBase {
  readonly kind: 'status';
  /** Answers by context id. */
  readonly answers: Map<number, readonly NbdExtent[]>;
}

export interface PlainRequest extends RequestBase {
  readonly kind: 'plain';
}

export type PendingRequest = ReadRequest | StatusRequest | PlainRequest;

/** QEMU answers with at most 131072 extents; others may send more, but not megabytes of them. */
const LARGEST_STATUS = 8 * 1024 * 1024;
const LARGEST_ERROR = 6 + 8 + 4096;

interface Chunk {
  readonly type: number;
  readonly length: number;
  readonly request: PendingRequest;
}

/** Receives one reply or one chunk of one, and settles its request when it is complete. Throws `bad-format` on anything unasked for. */
export function* receiveReply(pending: Map<number, PendingRequest>): Parser<void> {
  const head = viewOf(yield* take(16));
  const magic = head.getUint32(0);
  const cookie = readSafe(head, 8, 'a cookie');
  const request = pending.get(cookie);
  if (!request) throw refused(`a reply with cookie ${cookie}, which no request has`);
  if (magic === SIMPLE_REPLY_MAGIC) {
    settleSimple(request, head.getUint32(4));
    pending.delete(cookie);
    return;
  }
  if (magic !== STRUCTURED_REPLY_MAGIC) throw refused(`a reply that begins with 0x${magic.toString(16)}`);
  const length = viewOf(yield* take(4)).getUint32(0);
  yield* receiveChunk({ type: head.getUint16(6), length, request });
  if ((head.getUint16(4) & CHUNK_DONE) === 0) return;
  settleStructured(request);
  pending.delete(cookie);
}

function settleSimple(request: PendingRequest, error: number): void {
  if (error !== 0) request.reject(failure(request, errorName(error)));
  else if (request.kind === 'plain') request.resolve();
  else throw refused(`a simple reply to ${request.what}`);
}

function settleStructured(request: PendingRequest): void {
  if (!request.refusal && request.kind === 'read') checkCovered(request);
  if (request.refusal) request.reject(request.refusal);
  else request.resolve();
}

/** All bytes came, each once: chunks may come in any order, so sort them and see that each begins where the last ended. */
function checkCovered(request: ReadRequest): void {
  let end = 0;
  for (const part of request.received.toSorted((a, b) => a.start - b.start)) {
    if (part.start !== end) throw refused(`byte ${end} of ${request.what} came twice or not at all`);
    end = part.end;
  }
  if (end !== request.length) throw refused(`only ${end} bytes of ${request.what} came`);
}

function* receiveChunk(received: Chunk): Parser<void> {
  const { type, length, request } = received;
  if (type >= CHUNK_ERROR_BIT) return yield* receiveError(received);
  if (type === chunk.none && length === 0) return;
  if (type === chunk.offsetData && request.kind === 'read') return yield* receiveData(request, length);
  if (type === chunk.offsetHole && request.kind === 'read') return yield* receiveHole(request, length);
  if (type === chunk.blockStatus && request.kind === 'status') return yield* receiveStatus(request, length);
  throw refused(`a chunk of type ${type} and ${length} bytes to ${request.what}`);
}

function* receiveData(request: ReadRequest, length: number): Parser<void> {
  if (length <= 8) throw refused(`a data chunk of ${length} bytes to ${request.what}`);
  const offset = readSafe(viewOf(yield* take(8)), 0, 'an offset');
  yield claim(request, offset, length - 8);
}

function* receiveHole(request: ReadRequest, length: number): Parser<void> {
  if (length !== 12) throw refused(`a hole chunk of ${length} bytes to ${request.what}`);
  const view = viewOf(yield* take(12));
  claim(request, readSafe(view, 0, 'an offset'), view.getUint32(8)).fill(0);
}

/** The part of the caller's buffer that the server says it fills; never outside of it. */
function claim(request: ReadRequest, offset: number, length: number): Uint8Array {
  const start = offset - request.offset;
  if (start < 0 || length === 0 || length > request.length - start) {
    throw refused(`${length} bytes at ${offset} in the reply to ${request.what}`);
  }
  request.received.push({ start, end: start + length });
  return request.into.subarray(start, start + length);
}

function* receiveStatus(request: StatusRequest, length: number): Parser<void> {
  if (length < 12 || length > LARGEST_STATUS || (length - 4) % 8 !== 0) {
    throw refused(`a status chunk of ${length} bytes to ${request.what}`);
  }
  const view = viewOf(yield* take(length));
  const id = view.getUint32(0);
  if (request.answers.has(id)) throw refused(`context ${id} twice in the reply to ${request.what}`);
  request.answers.set(id, parseExtents(view, request));
}

function parseExtents(view: DataView, request: StatusRequest): readonly NbdExtent[] {
  const extents: NbdExtent[] = [];
  let left = request.length;
  for (let at = 4; at < view.byteLength && left > 0; at += 8) {
    const length = view.getUint32(at);
    if (length === 0) throw refused(`an extent of no bytes in the reply to ${request.what}`);
    // The last extent may reach past what was asked for.
    extents.push({ length: Math.min(length, left), flags: view.getUint32(at + 4) });
    left -= length;
  }
  return extents;
}

function* receiveError({ type, length, request }: Chunk): Parser<void> {
  if (length < 6 || length > LARGEST_ERROR) throw refused(`an error chunk of ${length} bytes to ${request.what}`);
  const body = yield* take(length);
  const words = textFrom(body.subarray(6, 6 + viewOf(body).getUint16(4)));
  const name = errorName(viewOf(body).getUint32(0));
  request.refusal ??= failure(request, words === '' ? `${name} (chunk type ${type})` : `${name}: ${words}`);
}

function failure(request: PendingRequest, found: string): EkkoError {
  return new EkkoError('qemu-failed', `The NBD server failed ${request.what}: ${found}`);
}
