import { connect } from 'node:net';
import { EkkoError } from '#vault/errors.ts';
import { asObject, type JsonObject, memberOf, textOf } from './json-value.ts';
import { createLineSplitter } from './line-splitter.ts';

/** A session with the QEMU guest agent (QEMU's docs/interop/qemu-ga-ref). The guest is not trusted. */
export interface GuestAgent {
  /** Freezes all file systems and gives their number. A freeze that times out may still happen later. */
  freeze(limitMs: number): Promise<number>;
  /** Gives the number of file systems that were frozen until then. */
  thaw(limitMs: number): Promise<number>;
  status(limitMs: number): Promise<'frozen' | 'thawed'>;
  close(): Promise<void>;
}

/** Answers to the four commands used are short. */
const LARGEST_ANSWER = 64 * 1024;
/** Cannot occur in UTF-8: resets the agent's parser, and marks where answers to us begin. */
const SENTINEL = 0xff;

/**
 * Connects to the agent's unix socket and synchronises, so that answers to somebody's earlier questions are told from ours.
 * Throws `qemu-failed` when no agent answers within the limit.
 */
export async function connectAgent(socketPath: string, limitMs: number): Promise<GuestAgent> {
  const line = openLine(socketPath);
  line.resetParser();
  const id = Math.floor(Math.random() * 2 ** 31);
  try {
    await line.ask('guest-sync-delimited', { id }, limitMs, (answer) => memberOf(answer, 'return') === id);
  } catch (error) {
    await line.close();
    throw error;
  }
  const ask = (command: string, ms: number) => line.ask(command, {}, ms, () => true);
  return {
    freeze: async (ms) => frozenCount(await ask('guest-fsfreeze-freeze', ms), socketPath),
    thaw: async (ms) => frozenCount(await ask('guest-fsfreeze-thaw', ms), socketPath),
    status: async (ms) => frozenStatus(await ask('guest-fsfreeze-status', ms), socketPath),
    close: line.close,
  };
}

interface Question {
  readonly command: string;
  readonly accept: (answer: JsonObject) => boolean;
  resolve(value: unknown): void;
  reject(error: EkkoError): void;
}

/** One question at a time: the agent knows no ids. A question that times out ends the session, or its answer would be taken for another's. */
function openLine(socketPath: string) {
  let question: Question | undefined;
  let lost: EkkoError | undefined;
  const socket = connect({ path: socketPath });
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const split = createLineSplitter(LARGEST_ANSWER, (line) => receive(line));
  socket.on('error', (cause) => lose(cause.message, cause));
  socket.on('close', () => lose('the connection was closed'));
  socket.on('data', (chunk) => {
    try {
      split(chunk);
    } catch (cause) {
      lose(`an answer that makes no sense: ${String(cause)}`, cause);
    }
  });

  function lose(found: string, cause?: unknown): void {
    lost ??= new EkkoError('qemu-failed', `Guest agent at ${socketPath}: ${found}`, { cause });
    socket.destroy();
    question?.reject(lost);
    question = undefined;
  }

  function receive(line: Buffer): void {
    const text = line.subarray(line.lastIndexOf(SENTINEL) + 1).toString('utf8');
    if (!question || text.trim() === '') return;
    const answer = asObject(JSON.parse(text), 'an answer');
    // What comes before the answer to our synchronisation belongs to somebody's earlier question.
    if (!question.accept(answer)) return;
    const { command, resolve, reject } = question;
    question = undefined;
    if ('error' in answer) reject(refusal(command, answer));
    else resolve(memberOf(answer, 'return'));
  }

  function refusal(command: string, answer: JsonObject): EkkoError {
    const desc = textOf(asObject(memberOf(answer, 'error'), 'an error'), 'desc');
    return new EkkoError('qemu-failed', `Guest agent at ${socketPath} refused ${command}: ${desc}`);
  }

  async function ask(command: string, args: JsonObject, limitMs: number, accept: Question['accept']): Promise<unknown> {
    if (lost) throw lost;
    if (question) throw new EkkoError('bad-input', `${command} while the agent still works on ${question.command}`);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    question = { command, accept, resolve, reject };
    socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    const timer = setTimeout(() => lose(`no answer to ${command} within ${limitMs} ms`), limitMs);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The agent answers the sentinel itself with an error, so it may only come before a synchronisation, which skips that. */
  function resetParser(): void {
    socket.write(Buffer.of(SENTINEL));
  }

  async function close(): Promise<void> {
    lose('closed by the exporter');
    await ended;
  }

  return { ask, resetParser, close };
}

function frozenCount(value: unknown, socketPath: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new EkkoError(
    'qemu-failed',
    `Guest agent at ${socketPath} answered ${JSON.stringify(value)} to a freeze or thaw`,
  );
}

function frozenStatus(value: unknown, socketPath: string): 'frozen' | 'thawed' {
  if (value === 'frozen' || value === 'thawed') return value;
  throw new EkkoError(
    'qemu-failed',
    `Guest agent at ${socketPath} answered ${JSON.stringify(value)} to fsfreeze-status`,
  );
}
