import { type ClientRequest, type IncomingMessage, request as requestByHttp } from 'node:http';
import { request as requestByHttps } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import { EkkoError } from '#vault/errors.ts';
import type { ServiceAnswer } from './call-service.ts';

/** A body that is sent as it is made. */
export interface Upload {
  /** For messages: `Glance`. */
  readonly service: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes that `content` has. */
  readonly length: number;
  readonly content: AsyncIterable<Uint8Array>;
  /** Breaks the upload off, and with it the content. */
  readonly signal: AbortSignal;
}

/** Neither side has sent anything for so long. At its end a service may copy what it got to another place. */
const IDLE_MS = 900_000;
/** A service that refuses answers before it breaks the line off. */
const LAST_WORDS_MS = 2000;
const LARGEST_ANSWER = 64 * 1024;

/**
 * Puts a body of a known length, no faster than it is taken, and gives back the answer, be it an error or not; an answer that comes before
 * the end ends the sending. Redirects are not followed, and nothing is tried again. Throws what the content throws, the signal's reason, and
 * `cloud-failed` where no answer comes.
 */
export async function upload({ service, url, headers, length, content, signal }: Upload): Promise<ServiceAnswer> {
  signal.throwIfAborted();
  const pieces = content[Symbol.asyncIterator]();
  // Servers wait a few seconds for the first bytes on a line: it is opened when they are there.
  const first = await pieces.next();
  const send = url.startsWith('https:') ? requestByHttps : requestByHttp;
  const all = { ...headers, 'content-type': 'application/octet-stream', 'content-length': String(length) };
  const request = send(url, { method: 'PUT', headers: all, agent: false, signal });
  const answer = answerOf(request);
  try {
    await sendBody(request, first, pieces, answer);
    return await answer.received;
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof LineFailure)) throw error;
    const early = await Promise.race([answer.received, pause(LAST_WORDS_MS)]).catch(() => undefined);
    if (early !== undefined) return early;
    throw new EkkoError('cloud-failed', `${service} broke off while it was sent to: ${error.message}.`, {
      cause: error,
    });
  } finally {
    request.destroy();
    await pieces.return?.();
  }
}

/** What is wrong is the connection. */
class LineFailure extends Error {}

interface Answering {
  readonly received: Promise<ServiceAnswer>;
  /** Whether the answer has begun. */
  begun(): boolean;
  /** Resolves when more can be sent, or nothing more need be. Rejects with `LineFailure`. */
  room(): Promise<void>;
}

function answerOf(request: ClientRequest): Answering {
  let begun = false;
  let lost: LineFailure | undefined;
  // Who waits for room is woken by one function: promises that last as long as the upload would keep something of each piece.
  let wake = () => {};
  const { promise: received, resolve, reject } = Promise.withResolvers<ServiceAnswer>();
  received.catch(() => undefined);
  const fail = (error: unknown) => {
    lost ??= new LineFailure(error instanceof Error ? error.message : String(error), { cause: error });
    if (!begun) reject(lost);
    wake();
  };
  request.on('response', (response) => {
    begun = true;
    readAnswer(response).then(resolve, (error: unknown) => reject(new LineFailure(String(error))));
    wake();
  });
  request.on('drain', () => wake());
  request.on('error', fail);
  request.on('close', () => fail(new Error('the connection was closed')));
  request.setTimeout(IDLE_MS, () => request.destroy(new Error('nothing has moved for a long time')));
  return {
    received,
    begun: () => begun,
    async room() {
      if (!begun && lost === undefined)
        await new Promise<void>((done) => {
          wake = done;
        });
      if (!begun && lost !== undefined) throw lost;
    },
  };
}

async function sendBody(
  request: ClientRequest,
  first: IteratorResult<Uint8Array>,
  pieces: AsyncIterator<Uint8Array>,
  answer: Answering,
): Promise<void> {
  for (let piece = first; piece.done !== true; piece = await pieces.next()) {
    if (answer.begun()) return;
    if (!request.write(piece.value)) await answer.room();
  }
  request.end();
}

async function readAnswer(response: IncomingMessage): Promise<ServiceAnswer> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > LARGEST_ANSWER) break;
    pieces.push(piece);
  }
  const headers = new Headers();
  for (const [name, value] of Object.entries(response.headers))
    if (value !== undefined) headers.set(name, String(value));
  return { status: response.statusCode ?? 0, headers, body: parse(Buffer.concat(pieces).toString('utf8')) };
}

/** Services tell of errors in JSON, or in a page for people. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const plain = text
      .replaceAll(/<(head|style|script)[^>]*>.*?<\/\1>|<[^>]*>/gs, ' ')
      .replaceAll(/\s+/g, ' ')
      .trim();
    return plain === '' ? undefined : { message: plain };
  }
}
