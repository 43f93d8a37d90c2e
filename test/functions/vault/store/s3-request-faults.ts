import { inspect } from 'node:util';
import { describe, expect, test, vi } from 'vitest';
import { contentName } from '#vault/store/object-names.ts';
import { listAll } from '../../../conformance/object-store.ts';
import {
  always,
  answering,
  either,
  type Fault,
  first,
  half,
  htmlPage,
  resetAfter,
  resetBefore,
} from '../../../faulty-http.ts';
import {
  BODY,
  type FaultyPlace,
  fails,
  HASTY,
  isBulk,
  isDelete,
  isGet,
  isList,
  isPut,
  says,
  WHOLE,
} from './s3-faulty-place.ts';

export function describeRequests(place: FaultyPlace): void {
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

export function describeErrors(place: FaultyPlace): void {
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
