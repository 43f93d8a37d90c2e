import { connect } from 'node:net';
import { EkkoError } from '#vault/errors.ts';
import { asObject, type JsonObject, memberOf, textOf } from './json-value.ts';
import { createLineSplitter } from './line-splitter.ts';

/** Answers of QEMU can be large (query-named-block-nodes over long backing chains), but not without end. */
const LARGEST_LINE = 32 * 1024 * 1024;

export interface QmpEvent {
  readonly name: string;
  readonly data: JsonObject;
}

export interface EventMatch {
  readonly event: string;
  /** What members of the event's data must be, e.g. `{ id: 'x', status: 'null' }`. */
  readonly data: JsonObject;
}

/** One QMP session (QEMU's docs/interop/qmp-spec). QEMU serves one client a monitor socket: holding it keeps others out. */
export interface QmpClient {
  readonly socketPath: string;
  /** True once the connection is gone; every later command fails. */
  readonly closed: boolean;
  /** Runs a command and gives its `return`. Throws `qemu-failed` with the command's name and QEMU's own words. */
  execute(command: string, args?: JsonObject): Promise<unknown>;
  /** Runs a command and waits for an event it causes, also when the event overtakes the answer. */
  executeUntil(command: string, args: JsonObject, match: EventMatch): Promise<unknown>;
  /** Calls back for each event from now on; the function returned stops that. */
  onEvent(listener: (event: QmpEvent) => void): () => void;
  close(): Promise<void>;
}

export interface QmpLimits {
  /** Milliseconds to wait for the greeting; a monitor that another client holds never greets. */
  readonly greetingMs?: number;
  /** Milliseconds to wait for an answer or an event. */
  readonly commandMs?: number;
}

interface Waiting {
  readonly what: string;
  resolve(value: unknown): void;
  reject(error: EkkoError): void;
}

/** True when the error says that no QEMU listens at the socket (any more). */
export function isQemuGone(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
  return code === 'ENOENT' || code === 'ECONNREFUSED';
}

/** Connects to a monitor's unix socket and negotiates. Throws `busy` when another client holds it, `qemu-failed` otherwise. */
export async function connectQmp(socketPath: string, limits: QmpLimits = {}): Promise<QmpClient> {
  const { greetingMs = 3_000, commandMs = 60_000 } = limits;
  const session = openSession(socketPath, commandMs);
  try {
    await session.greeted(greetingMs);
    await session.client.execute('qmp_capabilities');
    return session.client;
  } catch (error) {
    await session.client.close();
    throw error;
  }
}

function openSession(socketPath: string, commandMs: number) {
  const waiting = new Map<number, Waiting>();
  const listeners = new Set<(event: QmpEvent) => void>();
  const greeting = Promise.withResolvers<void>();
  // Nobody may be waiting for the greeting any more when the connection ends.
  greeting.promise.catch(() => undefined);
  let lost: EkkoError | undefined;
  let nextId = 1;

  const socket = connect({ path: socketPath });
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const split = createLineSplitter(LARGEST_LINE, (line) => receive(parseLine(line, socketPath)));
  socket.on('data', (chunk) => guarded(() => split(chunk)));
  socket.on('error', (cause) => lose(connectionLost(socketPath, cause)));
  socket.on('close', () => lose(connectionLost(socketPath, undefined)));

  function guarded(work: () => void): void {
    try {
      work();
    } catch (cause) {
      lose(new EkkoError('qemu-failed', `QMP socket ${socketPath} sent what is not QMP: ${String(cause)}`, { cause }));
    }
  }

  function lose(error: EkkoError): void {
    if (lost) return;
    lost = error;
    socket.destroy();
    greeting.reject(error);
    for (const one of waiting.values()) one.reject(error);
    waiting.clear();
  }

  function receive(message: JsonObject): void {
    if ('QMP' in message) greeting.resolve();
    else if ('event' in message) announce(message);
    else answer(message);
  }

  function announce(message: JsonObject): void {
    const data = 'data' in message ? asObject(memberOf(message, 'data'), 'the data of an event') : {};
    for (const listener of [...listeners]) listener({ name: textOf(message, 'event'), data });
  }

  function answer(message: JsonObject): void {
    const id = Number(memberOf(message, 'id'));
    const one = waiting.get(id);
    waiting.delete(id);
    // An answer that came after its time limit has nobody waiting.
    if (!one) return;
    if ('error' in message) one.reject(refusal(one.what, message));
    else one.resolve(memberOf(message, 'return'));
  }

  function refusal(what: string, message: JsonObject): EkkoError {
    const desc = textOf(asObject(memberOf(message, 'error'), 'a QMP error'), 'desc');
    return new EkkoError('qemu-failed', `QEMU at ${socketPath} refused ${what}: ${desc}`);
  }

  function execute(command: string, args?: JsonObject): Promise<unknown> {
    if (lost) return Promise.reject(lost);
    const id = nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    waiting.set(id, { what: command, resolve, reject });
    socket.write(`${JSON.stringify({ execute: command, arguments: args ?? {}, id })}\n`);
    return withLimit(promise, commandMs, () => {
      waiting.delete(id);
      return new EkkoError('qemu-failed', `QEMU at ${socketPath} did not answer ${command} within ${commandMs} ms`);
    });
  }

  async function executeUntil(command: string, args: JsonObject, match: EventMatch): Promise<unknown> {
    const seen = Promise.withResolvers<void>();
    const off = onEvent((event) => {
      if (matches(event, match)) seen.resolve();
    });
    try {
      const result = await execute(command, args);
      await withLimit(Promise.race([seen.promise, ended.then(() => Promise.reject(lost))]), commandMs, () => {
        const wanted = `${match.event} ${JSON.stringify(match.data)}`;
        return new EkkoError(
          'qemu-failed',
          `QEMU at ${socketPath} sent no ${wanted} after ${command} in ${commandMs} ms`,
        );
      });
      return result;
    } finally {
      off();
    }
  }

  function onEvent(listener: (event: QmpEvent) => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  async function close(): Promise<void> {
    lose(new EkkoError('qemu-failed', `the connection to QMP socket ${socketPath} has been closed`));
    await ended;
  }

  const client: QmpClient = {
    socketPath,
    get closed() {
      return lost !== undefined;
    },
    execute,
    executeUntil,
    onEvent,
    close,
  };
  return { client, greeted: (ms: number) => withLimit(greeting.promise, ms, () => monitorBusy(socketPath, ms)) };
}

function matches(event: QmpEvent, match: EventMatch): boolean {
  return event.name === match.event && Object.entries(match.data).every(([key, value]) => event.data[key] === value);
}

function parseLine(line: Buffer, socketPath: string): JsonObject {
  return asObject(JSON.parse(line.toString('utf8')), `a line from ${socketPath}`);
}

function monitorBusy(socketPath: string, ms: number): EkkoError {
  return new EkkoError(
    'busy',
    `QMP socket ${socketPath} sent no greeting within ${ms} ms: another client (a second exporter, libvirt, a console) holds it. ` +
      'Wait for it to end, or give QEMU a second -qmp socket for this exporter.',
  );
}

function connectionLost(socketPath: string, cause: Error | undefined): EkkoError {
  const found = cause ? cause.message : 'QEMU closed the connection';
  return new EkkoError('qemu-failed', `QMP socket ${socketPath}: ${found}. Is QEMU running?`, { cause });
}

async function withLimit<T>(promise: Promise<T>, ms: number, late: () => EkkoError): Promise<T> {
  const limit = Promise.withResolvers<never>();
  const timer = setTimeout(() => limit.reject(late()), ms);
  try {
    return await Promise.race([promise, limit.promise]);
  } finally {
    clearTimeout(timer);
  }
}
