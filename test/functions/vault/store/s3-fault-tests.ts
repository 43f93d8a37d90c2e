import { inspect } from 'node:util';
import { describe, expect, test, vi } from 'vitest';
import { contentName } from '#vault/store/object-names.ts';
import { openS3Store } from '#vault/store/s3-store.ts';
import { listAll } from '../../../conformance/object-store.ts';
import { failure, listing, removed } from '../../../fake-s3.ts';
import {
  always,
  answering,
  changed,
  either,
  type Fault,
  first,
  half,
  htmlPage,
  late,
  resetAfter,
  resetBefore,
  silence,
} from '../../../faulty-http.ts';
import {
  BODY,
  type FaultyPlace,
  type FaultyUpstream,
  fails,
  HASTY,
  isBulk,
  isDelete,
  isGet,
  isList,
  isPut,
  says,
  useFaultyPlace,
  WHOLE,
} from './s3-faulty-place.ts';

/** What the S3 store makes of a store, or a network, that misbehaves: the right result or a clear error, and nothing lost. */
export function describeS3Faults(name: string, upstream: () => Promise<FaultyUpstream>): void {
  describe(`S3 before ${name}`, () => {
    const place = useFaultyPlace(upstream);
    describeRequests(place);
    describeErrors(place);
    describe('reading', () => describeReading(place));
    describe('a listing', () => describeListing(place));
    describe('a removal', () => describeRemoval(place));
  });
}

/** What takes its time to test. */
export function describeS3Patience(name: string, upstream: () => Promise<FaultyUpstream>): void {
  describe(`S3 before ${name}, in time`, () => describeWaits(useFaultyPlace(upstream)));
}

function describeRequests(place: FaultyPlace): void {
  describe.each<readonly [string, Fault]>([
    ['503 SlowDown', says(503, 'SlowDown')],
    ['500', says(500, 'InternalError')],
    ['502 of a proxy', htmlPage(502)],
    ['504 of a proxy', htmlPage(504)],
    ['429', answering(429)],
    ['498', answering(498)],
    ['a reset', resetBefore],
  ])('%s', (_, fault) => {
    test('that passes is not noticed', async () => {
      place.front.misbehave(first(2, fault));
      expect(await place.store.create('a', BODY)).toBe('created');
      place.front.misbehave(first(2, fault));
      expect(await place.store.get('a')).toEqual(WHOLE);
      place.front.misbehave(first(2, fault));
      expect(await listAll(place.store, '')).toEqual([{ key: 'a', size: WHOLE.length }]);
      place.front.misbehave(first(2, fault));
      await place.store.remove(['a']);
      expect(await listAll(place.store, '')).toEqual([]);
    });

    test('that lasts is a failure that names the object, after as many tries as are set', async () => {
      place.front.misbehave(always(fault));
      await expect(place.store.create('a', BODY)).rejects.toMatchObject(fails(/Cannot write s3:\/\/[^ ]*\/a:/));
      await expect(place.store.get('a')).rejects.toMatchObject(fails(/Cannot read s3:\/\/[^ ]*\/a:/));
      await expect(listAll(place.store, '')).rejects.toMatchObject(fails(/Cannot list s3:\/\//));
      await expect(place.store.remove(['a'])).rejects.toMatchObject(fails(/Cannot remove s3:\/\/[^ ]*\/a:/));
      expect(place.front.requests).toHaveLength(4 * HASTY.attempts);
    });
  });

  test('a lost answer to a create is tried again and meets its own object', async () => {
    place.front.misbehave(first(1, resetAfter, isPut));
    expect(await place.store.create('a', BODY)).toBe('exists');
    expect(await place.store.get('a')).toEqual(WHOLE);
  });

  test('a lost answer to a removal is tried again', async () => {
    await place.store.create('a', BODY);
    place.front.misbehave(first(1, resetAfter, isBulk));
    await place.store.remove(['a']);
    expect(await listAll(place.store, '')).toEqual([]);
  });

  test('a large body goes out at once, with its length and digest', async () => {
    const body = [Buffer.alloc(2 ** 20, 'a'), Buffer.alloc(2 ** 21, 'b')];
    await place.store.create('a', body);
    const digest = contentName(body);
    await place.store.create(`packs/${digest.slice(0, 2)}/${digest}`, body);
    for (const { headers } of place.front.requests) {
      expect(headers).toMatchObject({ 'content-length': String(3 * 2 ** 20), 'x-amz-content-sha256': digest });
      expect(headers).not.toHaveProperty('transfer-encoding');
      // It would cost a connection a body.
      expect(headers).not.toHaveProperty('expect');
    }
  });

  test('nothing of a signed request is in an error', async () => {
    place.front.misbehave(always(says(403, 'AccessDenied')));
    const errors = [place.store.create('a', BODY), place.store.get('a'), place.store.remove(['a'])];
    for (const error of await Promise.allSettled(errors)) {
      expect(error.status).toBe('rejected');
      expect(inspect(error, { depth: 20, showHidden: true })).not.toMatch(/AWS4-HMAC|Signature=|authorization/i);
    }
    place.front.misbehave(() => undefined);
    const missing = await place.store.get('a').catch((error: unknown) => error);
    expect(inspect(missing, { depth: 20, showHidden: true })).not.toMatch(/AWS4-HMAC|Signature=|authorization/i);
  });

  test('an error that breaks off within its text is asked for again', async () => {
    place.front.misbehave(first(1, half(), isGet));
    await expect(place.store.get('a')).rejects.toMatchObject({ code: 'object-missing' });
    await place.store.create('a', BODY);
    place.front.misbehave(first(1, half(), isPut));
    expect(await place.store.create('a', BODY)).toBe('exists');
  });

  test('a conflict of two creates is tried again', async () => {
    place.front.misbehave(first(2, says(409, 'ConditionalRequestConflict'), isPut));
    expect(await place.store.create('a', BODY)).toBe('created');
  });

  test('a body that was changed on the way is refused by the store and sent again', async () => {
    const bent: Fault = (forward, request) => {
      request.body.write('X', 3);
      return forward();
    };
    place.front.misbehave(first(1, bent, isPut));
    expect(await place.store.create('a', BODY)).toBe('created');
    expect(await place.store.get('a')).toEqual(WHOLE);
    place.front.misbehave(always(bent, isPut));
    await expect(place.store.create('b', BODY)).rejects.toMatchObject(
      fails(/XAmzContentSHA256Mismatch.*changed on the way/),
    );
    await expect(place.store.get('b')).rejects.toMatchObject({ code: 'object-missing' });
  });

  test('a page of a proxy does not pass for an object that was stored, a listing or a removal', async () => {
    await place.store.create('a', BODY);
    place.front.misbehave(always(htmlPage()));
    await expect(place.store.create('b', BODY)).rejects.toMatchObject(fails(/without an ETag.*not how S3 answers/));
    await expect(listAll(place.store, '')).rejects.toMatchObject(fails(/not a ListBucketResult/));
    await expect(place.store.remove(['a'])).rejects.toMatchObject(fails(/did not say/));
    place.front.misbehave(either(always(says(501, 'NotImplemented'), isBulk), always(htmlPage(), isDelete)));
    await expect(place.store.remove(['a'])).rejects.toMatchObject(fails(/answered 200, not 204/));
    place.front.misbehave(() => undefined);
    expect(await listAll(place.store, '')).toEqual([{ key: 'a', size: WHOLE.length }]);
  });

  test('what is no XML at all is no listing', async () => {
    place.front.misbehave(always(answering(200, 'Welcome & <goodbye'), isList));
    await expect(listAll(place.store, '')).rejects.toMatchObject({ code: 'store-failed' });
  });

  test("a machine whose clock is a year off goes by the store's", async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 365 * 86_400_000 });
    try {
      expect(await place.store.create('a', BODY)).toBe('created');
      expect(await place.store.get('a')).toEqual(WHOLE);
    } finally {
      vi.useRealTimers();
    }
    const years = place.front.requests.map(({ headers }) => Number(String(headers['x-amz-date']).slice(0, 4)));
    expect(years[0]).toBe((years[1] ?? 0) + 1);
  });

  test('a store that is not there is told with its address', async () => {
    await place.front.close();
    await expect(place.store.get('a')).rejects.toMatchObject(
      fails(/ECONNREFUSED\. The store cannot be reached: look at http:\/\/127/),
    );
  });
}

function describeErrors(place: FaultyPlace): void {
  test('only the store itself can say that an object is missing', async () => {
    await expect(place.store.get('a')).rejects.toMatchObject({ code: 'object-missing' });
    place.front.misbehave(always(htmlPage(404), isGet));
    await expect(place.store.get('a')).rejects.toMatchObject(
      fails(/HTTP 404.*not how S3 answers: look at the endpoint/),
    );
    place.front.misbehave(always(says(404, 'NoSuchBucket')));
    await expect(place.store.get('a')).rejects.toMatchObject(fails(/The bucket [^ ]+ is not there: make it first/));
    await expect(place.store.create('a', BODY)).rejects.toMatchObject(fails(/make it first/));
    await expect(listAll(place.store, '')).rejects.toMatchObject(fails(/make it first/));
  });

  test('only the store itself can say that an object exists', async () => {
    place.front.misbehave(always(htmlPage(412), isPut));
    await expect(place.store.create('a', BODY)).rejects.toMatchObject(fails(/HTTP 412/));
  });

  test.each<readonly [number, string, RegExp]>([
    [403, 'AccessDenied', /right to get, put and delete objects in .* and to list the bucket/],
    [403, 'InvalidAccessKeyId', /does not know this access key/],
    [403, 'SignatureDoesNotMatch', /secret key does not fit/],
    [403, 'RequestTimeTooSkewed', /clock says \d{4}-.*set the clock/],
    [403, 'QuotaExceeded', /quota/],
    [400, 'ExpiredToken', /have expired: renew/],
    [400, 'AuthorizationHeaderMalformed', /region/],
    [301, 'PermanentRedirect', /region/],
    [401, 'Unauthorized', /access key/],
    [507, 'InsufficientStorage', /full/],
    [418, 'Teapot', /Teapot \(HTTP 418\)/],
    [418, 'toString', /toString \(HTTP 418\)\. Look at that in the store's log/],
  ])('%i %s is told at once, with what to do', async (status, code, advice) => {
    place.front.misbehave(always(says(status, code)));
    await expect(place.store.create('a', BODY)).rejects.toMatchObject(fails(advice));
    await expect(place.store.get('a')).rejects.toMatchObject(fails(advice));
    await expect(listAll(place.store, '')).rejects.toMatchObject(fails(advice));
    await expect(place.store.remove(['a'])).rejects.toMatchObject(fails(advice));
    // Where a removal in bulk is forbidden, one by one may not be.
    expect(place.front.requests).toHaveLength(code === 'AccessDenied' ? 5 : 4);
  });

  test('a store that cannot create only what is absent is told so', async () => {
    place.front.misbehave(always(says(501, 'NotImplemented'), isPut));
    await expect(place.store.create('a', BODY)).rejects.toMatchObject(fails(/only if it is absent/));
  });
}

function describeReading(place: FaultyPlace): void {
  test.each([
    [undefined, WHOLE],
    [{ start: 3, end: 20 }, WHOLE.subarray(3, 20)],
  ])('an answer that breaks off within the body is asked for again (range %j)', async (range, expected) => {
    await place.store.create('a', BODY);
    place.front.misbehave(first(2, half(), isGet));
    expect(await place.store.get('a', range)).toEqual(expected);
    place.front.misbehave(always(half(), isGet));
    await expect(place.store.get('a', range)).rejects.toMatchObject(fails(/Cannot read .*cannot be reached/));
  });

  test('a body that is shorter than it should be, but looks whole, is asked for again', async () => {
    await place.store.create('a', BODY);
    const short = changed((answer) => ({ ...answer, body: answer.text.slice(0, 5) }));
    place.front.misbehave(first(1, short, isGet));
    expect(await place.store.get('a', { start: 0, end: 10 })).toEqual(WHOLE.subarray(0, 10));
    place.front.misbehave(always(short, isGet));
    await expect(place.store.get('a', { start: 0, end: 10 })).rejects.toMatchObject(fails(/instead of 0 to 9/));
  });

  test('another part of the object than was asked for is not taken for it', async () => {
    await place.store.create('a', BODY);
    const other = changed((answer) => ({
      ...answer,
      headers: { ...answer.headers, 'content-range': 'bytes 5-9/23' },
    }));
    place.front.misbehave(always(other, isGet));
    await expect(place.store.get('a', { start: 3, end: 8 })).rejects.toMatchObject(
      fails(/bytes 5 to 9 of 23 instead of 3 to 7/),
    );
  });

  test('a store that knows no ranges sends all, of which the range is taken', async () => {
    await place.store.create('a', BODY);
    const rangeless = always(() => ({ status: 200, body: WHOLE }), isGet);
    place.front.misbehave(rangeless);
    expect(await place.store.get('a', { start: 3, end: 8 })).toEqual(WHOLE.subarray(3, 8));
    expect(await place.store.get('a', { start: 20, end: 99 })).toEqual(WHOLE.subarray(20));
    expect(await place.store.get('a', { start: 50, end: 99 })).toEqual(Buffer.alloc(0));
  });

  test('an object of another size than any of ours is not read', async () => {
    const huge: Fault = () => ({ status: 200, headers: { 'content-length': '2000000000' } });
    place.front.misbehave(always(huge, isGet));
    await expect(place.store.get('a')).rejects.toMatchObject({ code: 'damaged' });
  });
}

function describeListing(place: FaultyPlace): void {
  const entry = (key: string) => ({ key: `${key}`, size: 1 });
  const page = (keys: readonly string[], next?: string): Fault => {
    return (_, { path }) => {
      const prefix = new URL(path, 'http://s3').searchParams.get('prefix') ?? '';
      return listing({ bucket: place.opened.bucket, entries: keys.map((key) => entry(prefix + key)), next });
    };
  };
  test.each<readonly [string, readonly Fault[], RegExp]>([
    ['out of order', [page(['a', 'c', 'b'])], /"[^"]*b" comes after "[^"]*c"/],
    ['with a key twice', [page(['a', 'a'])], /comes after/],
    ['that begins again on its second page', [page(['a', 'b'], 'x'), page(['a', 'b'])], /comes after/],
    ['whose token leads back to it', [page(['a'], 'x'), page([], 'x')], /does not go on/],
    ['of empty pages without end', [], /does not go on, and does not end/],
    [
      'that is cut without saying how to go on',
      [changed((answer) => ({ ...answer, body: answer.text.replace('>false<', '>true<') }))],
      /how to go on/,
    ],
    [
      'of another folder',
      [() => listing({ bucket: place.opened.bucket, entries: [entry('elsewhere/a')], next: undefined })],
      /does not belong/,
    ],
    [
      'without sizes',
      [
        () => ({
          status: 200,
          body: '<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents></ListBucketResult>',
        }),
      ],
      /no size/,
    ],
  ])('%s is refused', async (_, pages, found) => {
    let at = 0;
    const endless: Fault = (forward, request) => page([], `token-${request.number}`)(forward, request);
    place.front.misbehave(always((...given) => (pages[at++] ?? endless)(...given), isList));
    await expect(listAll(place.store, '')).rejects.toMatchObject(fails(found));
  });

  test('may have a page without keys', async () => {
    const pages = [page(['a'], 'x'), page([], 'y'), page(['b'])];
    let at = 0;
    place.front.misbehave(always((...given) => pages[at++]?.(...given) ?? failure(500, 'Test'), isList));
    expect(await listAll(place.store, '')).toEqual([entry('a'), entry('b')]);
  });

  test('leaves out what is no key', async () => {
    place.front.misbehave(always(page(['.hidden', 'A', 'a', 'b c', 'd/']), isList));
    expect(await listAll(place.store, '')).toEqual([entry('a')]);
  });
}

function describeRemoval(place: FaultyPlace): void {
  const KEYS = ['a', 'b', 'c'];
  const results =
    (code: string, failing: string): Fault =>
    async (forward, request) => {
      await forward();
      const keys = [...request.body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => key ?? '');
      return removed(keys.map((key) => (key.endsWith(`/${failing}`) ? { key, code } : { key })));
    };

  test.each([
    [501, 'NotImplemented'],
    [405, 'MethodNotAllowed'],
    [403, 'AccessDenied'],
    [400, 'MissingContentMD5'],
  ])('goes on one by one where the store refuses it in bulk (%i %s), and remembers that', async (status, code) => {
    for (const key of KEYS) await place.store.create(key, BODY);
    place.front.misbehave(always(says(status, code), isBulk));
    await place.store.remove(['a', 'b']);
    await place.store.remove(['c']);
    expect([place.seen(isBulk), place.seen(isDelete)]).toEqual([1, 3]);
    expect(await listAll(place.store, '')).toEqual([]);
  });

  test('is one request where the store knows it', async () => {
    for (const key of KEYS) await place.store.create(key, BODY);
    await place.store.remove(KEYS);
    expect([place.seen(isBulk), place.seen(isDelete)]).toEqual([1, 0]);
    expect(await listAll(place.store, '')).toEqual([]);
  });

  test('names the key that the store will not remove', async () => {
    for (const key of KEYS) await place.store.create(key, BODY);
    place.front.misbehave(first(1, results('AccessDenied', 'b'), isBulk));
    await expect(place.store.remove(KEYS)).rejects.toMatchObject(
      fails(/Cannot remove s3:\/\/[^ ]+\/b: AccessDenied\. .*right/),
    );
    expect(place.seen(isBulk)).toBe(1);
  });

  test('asks again for just the keys that were not removed for now', async () => {
    for (const key of KEYS) await place.store.create(key, BODY);
    place.front.misbehave(first(2, results('InternalError', 'c'), isBulk));
    await place.store.remove(KEYS);
    const asked = place.front.requests.filter(isBulk).map(({ body }) => body.toString().match(/<Key>/g)?.length);
    expect(asked).toEqual([3, 1, 1]);
  });

  test('of one key that is refused throws too when it goes one by one', async () => {
    for (const key of KEYS) await place.store.create(key, BODY);
    const refused = always(
      says(403, 'AccessDenied'),
      ({ method, path }) => method === 'DELETE' && path.includes('/b?'),
    );
    place.front.misbehave(either(always(says(501, 'NotImplemented'), isBulk), refused));
    await expect(place.store.remove(KEYS)).rejects.toMatchObject(fails(/\/b: AccessDenied/));
    expect((await listAll(place.store, '')).map(({ key }) => key)).toEqual(['b']);
  });
}

function describeWaits(place: FaultyPlace): void {
  test('a store that asks for patience is given it', async () => {
    place.front.misbehave(first(1, answering(503, '', { 'retry-after': '1' })));
    const began = performance.now();
    expect(await place.store.create('a', BODY)).toBe('created');
    expect(performance.now() - began).toBeGreaterThan(990);
  });

  test.each<readonly [string, Fault]>([
    ['that says nothing', silence],
    ['that falls silent within the body', half('silence')],
  ])('a store %s is not waited for without end', async (_, fault) => {
    await place.store.create('a', BODY);
    const impatient = await openS3Store(place.store.url, place.opened.environment, { ...HASTY, silenceMs: 1000 });
    place.front.misbehave(first(1, fault, isGet));
    expect(await impatient.get('a')).toEqual(WHOLE);
    place.front.misbehave(always(fault, isGet));
    const hopeless = await openS3Store(place.store.url, place.opened.environment, {
      ...HASTY,
      attempts: 1,
      silenceMs: 200,
    });
    await expect(hopeless.get('a')).rejects.toMatchObject(fails(/TimeoutError\. The store cannot be reached/));
  });

  test('a slow store is waited for', async () => {
    place.front.misbehave(always(late(300)));
    expect(await place.store.create('a', BODY)).toBe('created');
    expect(await place.store.get('a')).toEqual(WHOLE);
  });
}
