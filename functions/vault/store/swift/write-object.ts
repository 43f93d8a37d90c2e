import { createHash } from 'node:crypto';
import type { Account } from './account.ts';
import type { HttpAnswer } from './http-exchange.ts';
import { PassingFailure } from './patience.ts';
import { oddAnswer, refusalOf, type SwiftRequests } from './swift-requests.ts';
import { encodePath } from './swift-url.ts';

/** Creates an object; `what` is for messages. */
export type WriteObject = (name: string, body: readonly Uint8Array[], what: string) => Promise<'created' | 'exists'>;

interface Written {
  readonly path: string;
  readonly digest: string;
  readonly size: number;
  readonly what: string;
}

const LONGEST_ANSWER = 64 * 1024;

/** Writes to one container, which is made when the first object finds it missing. */
export function openWriter(requests: SwiftRequests, account: Account, container: string): WriteObject {
  let making: Promise<void> | undefined;

  function makeContainer(): Promise<void> {
    making ??= account.createContainer(container).finally(() => {
      making = undefined;
    });
    return making;
  }

  return async (name, body, what) => {
    const size = body.reduce((sum, piece) => sum + piece.length, 0);
    const written: Written = { path: encodePath(`${container}/${name}`), digest: md5Of(body), size, what };
    const headers = { 'if-none-match': '*', etag: written.digest, 'content-type': 'application/octet-stream' };
    let made = false;
    return requests(
      { method: 'PUT', path: written.path, headers, body, most: LONGEST_ANSWER, what },
      async (answer, attempt) => {
        if (answer.status !== 404) return judge(requests, answer, attempt, written);
        if (made) throw new PassingFailure(`${what}: the container is missing, though it has just been made`);
        await makeContainer();
        made = true;
        throw new PassingFailure(`${what}: the container was missing`, { kind: 'at-once' });
      },
    );
  };
}

function judge(
  requests: SwiftRequests,
  answer: HttpAnswer,
  attempt: number,
  written: Written,
): Promise<'created' | 'exists'> | 'created' | 'exists' {
  const { what, digest } = written;
  if (answer.status === 201) {
    if (answer.headers.etag === undefined || plainEtag(answer.headers.etag) === digest) return 'created';
    throw oddAnswer(what, 'Swift has stored other bytes than were sent');
  }
  if (answer.status === 412 && attempt === 1) return 'exists';
  // Another one wrote it meanwhile, by a clock that is ahead; or we did, and never heard of it.
  if ([202, 409, 412].includes(answer.status)) return compareWithOurs(requests, written);
  if (answer.status === 422) throw new PassingFailure(`${what}: the bytes were damaged on their way to Swift (422)`);
  throw refusalOf(answer, what);
}

/** Whether what is there is what was sent: then an earlier attempt made it. */
function compareWithOurs(
  requests: SwiftRequests,
  { path, digest, size, what }: Written,
): Promise<'created' | 'exists'> {
  return requests({ method: 'HEAD', path, most: 0, what }, (answer) => {
    if (answer.status === 404)
      throw new PassingFailure(`${what}: Swift says that the object is there, and that it is not`);
    if (answer.status !== 200) throw refusalOf(answer, what);
    const isOurs = plainEtag(answer.headers.etag) === digest && Number(answer.headers['content-length']) === size;
    return isOurs ? 'created' : 'exists';
  });
}

/** MD5 of the body, which Swift compares with what arrives. It guards against accidents only; names and seals guard against malice. */
function md5Of(body: readonly Uint8Array[]): string {
  const hash = createHash('md5');
  for (const piece of body) hash.update(piece);
  return hash.digest('hex');
}

/** Proxies quote ETags, or call them weak. */
export function plainEtag(etag: string | undefined): string | undefined {
  return etag
    ?.replace(/^W\//, '')
    .replace(/^"(.*)"$/, '$1')
    .toLowerCase();
}
