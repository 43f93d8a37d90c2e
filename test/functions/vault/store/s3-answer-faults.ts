import { expect, test } from 'vitest';
import { listAll } from '../../../conformance/object-store.ts';
import { failure, listing, removed } from '../../../fake-s3.ts';
import { always, changed, either, type Fault, first, half } from '../../../faulty-http.ts';
import { BODY, type FaultyPlace, fails, isBulk, isDelete, isGet, isList, says, WHOLE } from './s3-faulty-place.ts';

export function describeReading(place: FaultyPlace): void {
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

export function describeListing(place: FaultyPlace): void {
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

export function describeRemoval(place: FaultyPlace): void {
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
