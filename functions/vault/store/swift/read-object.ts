import { createHash } from 'node:crypto';
import { EkkoError } from '../../errors.ts';
import { clipRange } from '../byte-range.ts';
import type { ByteRange } from '../object-store.ts';
import type { HttpAnswer } from './http-exchange.ts';
import { oddAnswer, refusalOf, type SwiftRequests } from './swift-requests.ts';
import { encodePath } from './swift-url.ts';
import { plainEtag } from './write-object.ts';

interface Place {
  readonly container: string;
  readonly name: string;
  /** For messages. */
  readonly url: string;
}

/** Objects are bounded at about 70 MiB; a longer answer is none of ours, and must not make us allocate its size. */
const LARGEST_OBJECT = 256 * 1024 * 1024;
/** Readings of an object that does not fit its digest: what was damaged on the way is not damaged again. */
const READINGS = 3;

/** A whole object, checked against the MD5 that Swift has of it, or a range of one. */
export async function readObject(
  requests: SwiftRequests,
  { container, name, url }: Place,
  range: ByteRange | undefined,
): Promise<Buffer> {
  const request = { path: encodePath(`${container}/${name}`), what: `Cannot read ${url}` };
  if (range === undefined) {
    return requests({ ...request, method: 'GET', most: LARGEST_OBJECT }, (answer, attempt) =>
      readWhole(answer, attempt, url),
    );
  }
  const { start, end } = clipRange(range, Number.MAX_SAFE_INTEGER);
  // No header asks for nothing; but a missing object is to be noticed.
  if (start === end) return requests({ ...request, method: 'HEAD', most: 0 }, (answer) => readNothing(answer, url));
  const headers = { range: `bytes=${start}-${end - 1}` };
  const most = Math.min(end - start, LARGEST_OBJECT);
  return requests({ ...request, method: 'GET', headers, most: Math.max(most, LONGEST_PAGE) }, (answer) =>
    readPart(answer, { start, end }, url),
  );
}

/** Of an error, so that its status is seen rather than its length. */
const LONGEST_PAGE = 64 * 1024;

function readWhole(answer: HttpAnswer, attempt: number, url: string): Buffer {
  checkStatus(answer, 200, url);
  const etag = plainEtag(answer.headers.etag);
  if (etag === undefined || !/^[0-9a-f]{32}$/.test(etag))
    throw oddAnswer(`Cannot read ${url}`, 'what Swift answers is no object of a vault');
  const found = createHash('md5').update(answer.body).digest('hex');
  if (found === etag) return answer.body;
  if (attempt < READINGS) throw oddAnswer(`Cannot read ${url}`, 'the bytes were damaged on their way from Swift');
  throw new EkkoError(
    'damaged',
    `${url} does not fit the digest that Swift has of it: MD5 ${found}, not ${etag}. Verify the vault.`,
  );
}

function readPart(answer: HttpAnswer, { start, end }: ByteRange, url: string): Buffer {
  if (answer.status === 416) {
    if (endsBefore(start, answer)) return Buffer.alloc(0);
    throw oddAnswer(`Cannot read ${url}`, 'Swift says that the object ends before the range, and that it does not');
  }
  checkStatus(answer, 206, url);
  const [, from, to, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(answer.headers['content-range'] ?? '') ?? [];
  const expected = Math.min(end, Number(size)) - start;
  const fits = Number(from) === start && Number(to) === start + expected - 1 && answer.body.length === expected;
  if (!fits) throw oddAnswer(`Cannot read ${url}`, 'Swift answers with another range than was asked for');
  return answer.body;
}

/** Whether the object ends before the range begins, as an answer of 416 says. */
function endsBefore(start: number, { headers }: HttpAnswer): boolean {
  const size = /^bytes \*\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1];
  return size === undefined || Number(size) <= start;
}

function readNothing(answer: HttpAnswer, url: string): Buffer {
  checkStatus(answer, 200, url);
  return Buffer.alloc(0);
}

function checkStatus(answer: HttpAnswer, expected: number, url: string): void {
  if (answer.status === 404) throw new EkkoError('object-missing', `${url} is missing.`);
  if (answer.status !== expected) throw refusalOf(answer, `Cannot read ${url}`);
}
