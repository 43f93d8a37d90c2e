import { connect } from 'node:net';
import { EkkoError } from '#vault/errors.ts';
import { command, encodeRequest, type Negotiated, negotiate, type Parser } from './nbd-protocol.ts';
import { type NbdExtent, type PendingRequest, receiveReply } from './nbd-replies.ts';

export interface NbdAddress {
  /** Path of the server's unix socket. */
  readonly socketPath: string;
  readonly exportName: string;
  /** Metadata contexts to negotiate, e.g. `base:allocation`, `qemu:dirty-bitmap:NAME`. One failing context fails every status request. */
  readonly contexts?: readonly string[];
}

export interface NbdLimits {
  /** Milliseconds for connection and handshake. */
  readonly connectMs?: number;
  /** Milliseconds without a byte while requests wait, after which the connection counts as lost. A flush may take minutes. */
  readonly stallMs?: number;
}

/** One connection to an NBD export. Requests may overlap; 4 reads of 2 MiB in flight saturate QEMU. Errors are `qemu-failed`. */
export interface NbdClient {
  /** Of the export, in bytes. */
  readonly size: number;
  readonly readOnly: boolean;
  /** Reads straight into `into` (no copy); `into` must be left alone until the promise settles. At most 32 MiB. */
  read(offset: number, length: number, into: Uint8Array): Promise<void>;
  /** Writes all of `bytes`, which must not change until the promise settles. At most 32 MiB. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Makes any length read as zeros; the server may punch holes. */
  writeZeroes(offset: number, length: number): Promise<void>;
  /** What was written before is durable once this resolves. */
  flush(): Promise<void>;
  /** The status of every byte asked for, as the negotiated context defines flags; neighbours of like flags are one extent. */
  blockStatus(context: string, offset: number, length: number): Promise<readonly NbdExtent[]>;
  /** Says goodbye and closes; requests still waiting are rejected. */
  close(): Promise<void>;
}

/** Lengths are 32 bits wide in requests; QEMU wants them aligned. */
const LARGEST_SPAN = 4 * 1024 ** 3 - 65_536;

/** base:allocation: the flag says that the bytes read as zeros (NBD specification). */
export const STATUS_ZERO = 2;
/** qemu:dirty-bitmap: the flag says that the bytes were written since the bitmap began (QEMU docs/interop/nbd.rst). */
export const STATUS_DIRTY = 1;

/** Connects and negotiates. Throws `qemu-failed` with the socket, the export and the server's own words. */
export async function openNbd(address: NbdAddress, limits: NbdLimits = {}): Promise<NbdClient> {
  const { connectMs = 10_000, stallMs = 600_000 } = limits;
  const connection = openConnection(address, stallMs);
  const timer = setTimeout(() => connection.lose(`no handshake within ${connectMs} ms`), connectMs);
  try {
    return createClient(connection, await connection.negotiated);
  } finally {
    clearTimeout(timer);
  }
}

type Connection = ReturnType<typeof openConnection>;
type Ask = (type: number, request: PendingRequest, payload?: Uint8Array) => void;

/** Socket, parser and waiting requests. The parser names the next buffer, and the kernel writes straight into it. */
function openConnection(address: NbdAddress, stallMs: number) {
  const opened = Promise.withResolvers<Negotiated>();
  const pending = new Map<number, PendingRequest>();
  let nextCookie = 1;
  let lost: EkkoError | undefined;
  const session = receive();
  let target = nextTarget();
  let filled = 0;

  const socket = connect({
    path: address.socketPath,
    // Node takes the next buffer as soon as this callback returns, before the bytes come: the parser must have named it by then.
    onread: { buffer: () => target.subarray(filled), callback: fill },
  });
  socket.on('error', (cause) => lose(cause.message, cause));
  socket.on('close', () => lose('the server closed the connection'));
  socket.setTimeout(stallMs, () => {
    if (pending.size > 0) lose(`no answer for ${stallMs} ms`);
  });

  function* receive(): Parser<never> {
    opened.resolve(yield* negotiate((bytes) => socket.write(bytes), address.exportName, address.contexts ?? []));
    for (;;) yield* receiveReply(pending);
  }

  function nextTarget(): Uint8Array {
    const { value } = session.next();
    return value;
  }

  function fill(count: number): boolean {
    filled += count;
    if (filled < target.length) return true;
    try {
      target = nextTarget();
      filled = 0;
      return true;
    } catch (error) {
      lose(error instanceof Error ? error.message : String(error), error);
      return false;
    }
  }

  function lose(found: string, cause?: unknown): void {
    if (lost) return;
    lost = new EkkoError('qemu-failed', `NBD export "${address.exportName}" at ${address.socketPath}: ${found}`, {
      cause,
    });
    socket.destroy();
    opened.reject(lost);
    for (const request of pending.values()) request.reject(lost);
    pending.clear();
  }

  const ask: Ask = (type, request, payload) => {
    if (lost) return request.reject(lost);
    const cookie = nextCookie++;
    pending.set(cookie, request);
    socket.cork();
    socket.write(encodeRequest(type, cookie, request.offset, request.length));
    if (payload) socket.write(payload);
    socket.uncork();
  };

  async function close(): Promise<void> {
    if (lost) return;
    const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.end(encodeRequest(command.disconnect, 0, 0, 0), () => lose('the connection has been closed by us'));
    await ended;
  }

  return { negotiated: opened.promise, ask, lose, close };
}

function createClient(connection: Connection, negotiated: Negotiated): NbdClient {
  const { size, readOnly, largestRequest, contexts } = negotiated;

  function check(what: string, offset: number, length: number, largest: number): void {
    const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
    if (whole && offset >= 0 && length > 0 && length <= largest && length <= size - offset) return;
    throw new EkkoError('bad-input', `${what} of ${length} bytes at ${offset} on an export of ${size} bytes`);
  }

  async function read(offset: number, length: number, into: Uint8Array): Promise<void> {
    check('READ', offset, length, Math.min(largestRequest, into.length));
    const span = { what: `READ of ${length} bytes at ${offset}`, offset, length };
    await settle((ends) =>
      connection.ask(command.read, { kind: 'read', ...span, ...ends, into: into.subarray(0, length), received: [] }),
    );
  }

  async function write(offset: number, bytes: Uint8Array): Promise<void> {
    check('WRITE', offset, bytes.length, largestRequest);
    const span = { what: `WRITE of ${bytes.length} bytes at ${offset}`, offset, length: bytes.length };
    await settle((ends) => connection.ask(command.write, { kind: 'plain', ...span, ...ends }, bytes));
  }

  async function writeZeroes(offset: number, length: number): Promise<void> {
    check('WRITE_ZEROES', offset, length, size);
    for (const part of spans(offset, length)) {
      const what = `WRITE_ZEROES of ${part.length} bytes at ${part.offset}`;
      await settle((ends) => connection.ask(command.writeZeroes, { kind: 'plain', what, ...part, ...ends }));
    }
  }

  async function flush(): Promise<void> {
    const request = { kind: 'plain', what: 'FLUSH', offset: 0, length: 0 } as const;
    await settle((ends) => connection.ask(command.flush, { ...request, ...ends }));
  }

  async function blockStatus(context: string, offset: number, length: number): Promise<readonly NbdExtent[]> {
    check('BLOCK_STATUS', offset, length, size);
    const id = contexts.get(context);
    if (id === undefined) throw new EkkoError('bad-input', `Context ${context} was not negotiated`);
    const extents: NbdExtent[] = [];
    for (let at = offset; at < offset + length; ) {
      const asked = Math.min(LARGEST_SPAN, offset + length - at);
      for (const extent of await statusOnce(id, at, asked)) {
        append(extents, extent);
        at += extent.length;
      }
    }
    return extents;
  }

  async function statusOnce(id: number, offset: number, length: number): Promise<readonly NbdExtent[]> {
    const answers = new Map<number, readonly NbdExtent[]>();
    const what = `BLOCK_STATUS of ${length} bytes at ${offset}`;
    await settle((ends) =>
      connection.ask(command.blockStatus, { kind: 'status', what, offset, length, answers, ...ends }),
    );
    const answer = answers.get(id);
    if (answer) return answer;
    throw new EkkoError('qemu-failed', `The NBD server answered ${what} without context ${id}`);
  }

  return { size, readOnly, read, write, writeZeroes, flush, blockStatus, close: connection.close };
}

interface Ends {
  resolve(): void;
  reject(error: EkkoError): void;
}

function settle(start: (ends: Ends) => void): Promise<void> {
  return new Promise<void>((resolve, reject) => start({ resolve, reject }));
}

function* spans(offset: number, length: number): Generator<{ offset: number; length: number }> {
  for (let at = offset; at < offset + length; at += LARGEST_SPAN) {
    yield { offset: at, length: Math.min(LARGEST_SPAN, offset + length - at) };
  }
}

function append(extents: NbdExtent[], extent: NbdExtent): void {
  const last = extents.at(-1);
  if (last?.flags === extent.flags) extents[extents.length - 1] = { ...last, length: last.length + extent.length };
  else extents.push(extent);
}
