import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ObjectStore } from '#vault/store/object-store.ts';
import type { Patience } from '#vault/store/swift/patience.ts';
import { openSwiftStore } from '#vault/store/swift-store.ts';
import { describeObjectStore, listAll } from '../../../conformance/object-store.ts';
import {
  always,
  answering,
  changed,
  type Fault,
  first,
  half,
  htmlPage,
  resetAfter,
  resetBefore,
  silence,
} from '../../../faulty-http.ts';
import {
  bulkDeletes,
  bulkReport,
  catalogueOf,
  type FakeCloud,
  type FakeTraits,
  listings,
  md5,
  objectRequests,
  openFakeCloud,
  PASSWORD,
  QUICK,
  toKeystone,
  toSwift,
} from './swift/fake-cloud.ts';

const BODY = [Buffer.from('one'), Buffer.from('two')];
const WHOLE = Buffer.concat(BODY);
const STORE_FAILED = { code: 'store-failed' };

let cloud: FakeCloud;
let store: ObjectStore;
beforeEach(() => open());
afterEach(() => cloud.close());

async function open(traits: FakeTraits = {}, patience: Patience = QUICK): Promise<void> {
  await cloud?.close();
  cloud = await openFakeCloud(traits);
  store = await openSwiftStore('swift://backups/web', cloud.environment, patience);
}

const objects = () => cloud.containers.get('backups');
const sent = (match: (request: FakeCloud['requests'][number]) => boolean) => cloud.requests.filter(match);
const keys = async (prefix = '') => (await listAll(store, prefix)).map(({ key }) => key);

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  const failure = await work.catch((error: unknown) => error);
  expect(failure).toMatchObject(STORE_FAILED);
  const text = inspect(failure, { depth: 20, showHidden: true });
  for (const secret of [PASSWORD, 'token-']) expect(text).not.toContain(secret);
  return failure;
}

describe('in memory', () => {
  let server: FakeCloud;
  afterAll(() => server.close());
  describeObjectStore(
    'Swift in memory, with small pages',
    async () => {
      server = await openFakeCloud({ pageSize: 50 });
      return openSwiftStore('swift://conformance/a%20b', server.environment, QUICK);
    },
    { keeps: { atomicCreate: false }, listed: 120, sideBySide: { objects: 4, bytes: 300_000 } },
  );
});

describe('opening', () => {
  test('asks nothing of anybody', () => {
    expect(cloud.requests).toEqual([]);
  });

  test('the URL has no credential, and says the region only where it was said', async () => {
    expect(store.url).toBe('swift://backups/web');
    const there = await openSwiftStore('swift://backups?region=R&interface=internal', cloud.environment, QUICK);
    expect(there.url).toBe('swift://backups?region=R&interface=internal');
  });

  test('the region of the URL goes before that of the environment', async () => {
    await open({
      catalogue: (url) => [...(catalogueOf('http://127.0.0.1:9/', 'A') as []), ...(catalogueOf(url, 'B') as [])],
    });
    const environment = { ...cloud.environment, OS_REGION_NAME: 'A' };
    const there = await openSwiftStore('swift://backups?region=B&interface=internal', environment, QUICK);
    expect(await there.create('a', BODY)).toBe('created');
  });

  test.each([
    ['swift://backups/web?regoin=a', {}],
    ['swift://backups', { OS_USERNAME: '' }],
    ['swift://backups', { OS_CACERT: '/nowhere/ca.pem' }],
  ])('%s with %j is refused', async (url, environment) => {
    await expect(openSwiftStore(url, { ...cloud.environment, ...environment }, QUICK)).rejects.toMatchObject({
      code: 'bad-input',
    });
  });
});

describe('the container', () => {
  test('is made by the first create, once for all that find it missing', async () => {
    const outcomes = await Promise.all(['a', 'b', 'c', 'd'].map((key) => store.create(key, BODY)));
    expect(new Set(outcomes)).toEqual(new Set(['created']));
    expect(sent(({ method, path }) => method === 'PUT' && path === '/v1/AUTH_fake/backups')).toHaveLength(1);
    expect([...(objects()?.keys() ?? [])]).toContain('web/a');
  });

  test('is not made by reading, listing or removing: there is nothing yet', async () => {
    await expect(store.get('a')).rejects.toMatchObject({ code: 'object-missing' });
    await expect(store.get('a', { start: 0, end: 0 })).rejects.toMatchObject({ code: 'object-missing' });
    expect(await keys()).toEqual([]);
    await store.remove(['a']);
    await store.remove(['a', 'b']);
    expect(cloud.containers.size).toBe(0);
  });

  test('of any name is made by that name', async () => {
    const odd = await openSwiftStore('swift://b%20%C3%A4%3F%23%25', cloud.environment, QUICK);
    expect(await odd.create('a', BODY)).toBe('created');
    expect([...cloud.containers.keys()]).toEqual(['b ä?#%']);
  });

  test('that cannot be made fails in words', async () => {
    cloud.misbehave(always(answering(403), ({ method, path }) => method === 'PUT' && path.endsWith('/backups')));
    const failure = await failureOf(store.create('a', BODY));
    expect(failure).toMatchObject({
      message: expect.stringMatching(/Cannot make the container "backups": Swift answers 403.*role/),
    });
  });

  test('is made again with a new token when the old one is refused', async () => {
    await expect(store.get('a')).rejects.toMatchObject({ code: 'object-missing' });
    cloud.misbehave((request) => {
      if (request.method !== 'PUT' || !request.path.endsWith('/backups') || cloud.tokens.length > 1) return undefined;
      return answering(401);
    });
    expect(await store.create('a', BODY)).toBe('created');
    expect(cloud.tokens).toHaveLength(2);
  });

  test.each([
    ['the service stays busy', answering(503), /Cannot make the container "backups": Swift answers 503/],
    ['nothing comes of it', answering(201), /the container is missing, though it has just been made/],
    ['the connection breaks', resetBefore, /Cannot make the container "backups": Swift cannot be reached/],
  ])('fails after a few attempts when %s', async (_, fault, message) => {
    cloud.misbehave(always(fault, ({ method, path }) => method === 'PUT' && path.endsWith('/backups')));
    expect(await failureOf(store.create('a', BODY))).toMatchObject({ message: expect.stringMatching(message) });
  });
});

describe('what is sent', () => {
  test('a create is one conditional PUT with its digest', async () => {
    await store.create('a', []);
    await store.create('packs/3f/x', BODY);
    const [request, ...more] = sent(({ path }) => path.endsWith('/x'));
    expect(more).toEqual([]);
    expect(request?.path).toBe('/v1/AUTH_fake/backups/web/packs/3f/x');
    expect(request?.headers).toMatchObject({ 'if-none-match': '*', etag: md5(WHOLE), 'content-length': '6' });
    expect(request?.body).toEqual(WHOLE);
  });

  test('a body that was sent before is sent whole again', async () => {
    await store.create('warm', []);
    const body = Array.from({ length: 5 }, () => randomBytes(300_000));
    cloud.misbehave(first(2, answering(503), objectRequests('PUT')));
    expect(await store.create('a', body)).toBe('created');
    expect((await store.get('a')).equals(Buffer.concat(body))).toBe(true);
    expect(sent(({ path }) => path.endsWith('/a')).filter(({ method }) => method === 'PUT')).toHaveLength(3);
  });

  test('many removals are bulk deletes of a thousand, one is a DELETE', async () => {
    await store.create('a', []);
    const names = Array.from({ length: 2500 }, (_, at) => `x/${at}`);
    for (const name of names) objects()?.set(`web/${name}`, Buffer.alloc(0));
    await store.remove([...names, ...names]);
    expect(
      sent(bulkDeletes)
        .map(({ body }) => body.toString().split('\n').length)
        .sort(),
    ).toEqual([1000, 1000, 500]);
    expect(await keys()).toEqual(['a']);
    await store.remove(['a']);
    expect(sent(({ method }) => method === 'DELETE')).toHaveLength(1);
    expect(sent(({ path }) => path === '/info')).toHaveLength(1);
  });

  test.each([
    ['says nothing of bulk deletes', { bulk: false }, 0],
    ['keeps to itself what it can, and cannot', { bulk: false, info: false }, 1],
    ['keeps to itself what it can', { info: false }, 2],
  ])('where the service %s, objects go all the same', async (_, traits, bulks) => {
    await open(traits);
    for (const key of ['a', 'b', 'c']) await store.create(key, BODY);
    await store.remove(['a', 'none', 'b']);
    await store.remove(['c', 'none']);
    expect(await keys()).toEqual([]);
    expect(sent(bulkDeletes)).toHaveLength(bulks);
  });
});

/** Every verb of a store that holds `a`, `b` and `c`. */
const VERBS: readonly (readonly [string, () => Promise<unknown>])[] = [
  ['create', () => store.create('new', BODY)],
  ['get', () => store.get('a')],
  ['get a range', () => store.get('a', { start: 1, end: 3 })],
  ['get nothing', () => store.get('a', { start: 1, end: 1 })],
  ['list', () => listAll(store, '')],
  ['remove one', () => store.remove(['a'])],
  ['remove several', () => store.remove(['a', 'b'])],
];

describe.each(VERBS)('%s', (verb, act) => {
  beforeEach(async () => {
    for (const key of ['a', 'b', 'c']) await store.create(key, BODY);
  });
  const attempts = () =>
    sent((request) => toSwift(request) && !sent(toSwift).slice(0, before).includes(request)).length;
  let before = 0;
  const misbehave = (plan: Parameters<FakeCloud['misbehave']>[0]) => {
    before = sent(toSwift).length;
    cloud.misbehave(plan);
  };

  test('goes on with a new token when the old one has ended', async () => {
    cloud.endTokens();
    await act();
    expect(cloud.tokens).toHaveLength(2);
  });

  test('gives up when Swift refuses a new token too', async () => {
    misbehave(always(answering(401), toSwift));
    expect(await failureOf(act())).toMatchObject({
      message: expect.stringMatching(/refuses a token that has just been issued \(401\)/),
    });
    expect([cloud.tokens.length, attempts()]).toEqual([2, 2]);
  });

  test.each([400, 403, 405, 413])('gives up at once for %i', async (status) => {
    // Of a bulk delete, 405 says that there are none.
    if (verb === 'remove several' && status === 405) return;
    misbehave(always(answering(status), toSwift));
    const failure = await failureOf(act());
    expect(failure).toMatchObject({ message: expect.stringContaining(`Swift answers ${status}`) });
    if (status === 403)
      expect(failure).toMatchObject({ message: expect.stringContaining('the role or the access rules') });
    expect(attempts()).toBe(1);
  });

  test.each([
    ['408', answering(408)],
    ['429', answering(429, '', { 'retry-after': '1' })],
    ['498', answering(498)],
    ['500', answering(500)],
    ['502', answering(502, '<html>')],
    ['503', answering(503, '', { 'retry-after': new Date(0).toUTCString() })],
    ['504', answering(504)],
    ['507', answering(507)],
    ['a broken connection', resetBefore],
    ['a lost answer', resetAfter],
  ])('tries again after %s', async (_, fault) => {
    misbehave(first(3, fault, toSwift));
    await act();
    expect(attempts()).toBeGreaterThanOrEqual(4);
  });

  test.each([
    [
      '503',
      answering(503, '', { 'x-trans-id': 'tx0123-abc' }),
      /Swift answers 503 \(transaction tx0123-abc\) \(5 attempts\)/,
    ],
    ['498', answering(498), /Swift answers 498 \(5 attempts\)/],
    ['broken connections', resetBefore, /(ECONNRESET|the connection was closed) \(\d attempts\)/],
    ['a page', htmlPage(), /.*/],
    [
      'a redirection',
      answering(302, '', { location: 'http://login.example/' }),
      /Swift answers 302, which makes no sense here/,
    ],
  ])('gives up after a few times %s', async (what, fault, message) => {
    // To HEAD a page has no body, and looks like an object.
    if (verb === 'get nothing' && what === 'a page') return;
    misbehave(always(fault, toSwift));
    expect(await failureOf(act())).toMatchObject({ message: expect.stringMatching(message) });
    expect(attempts()).toBeLessThan(20);
  });

  test('does not wait for a service that falls silent', async () => {
    const patient = store;
    store = await openSwiftStore('swift://backups/web', cloud.environment, { ...QUICK, silenceMs: 40, retries: 1 });
    cloud.misbehave(always(silence, toSwift));
    expect(await failureOf(act())).toMatchObject({
      message: expect.stringContaining('nothing came for 0.04 s (2 attempts)'),
    });
    store = patient;
  });

  test('waits for a Keystone that comes back, and says so when it does not', async () => {
    cloud.endTokens();
    cloud.misbehave(always(resetBefore, toKeystone));
    expect(await failureOf(act())).toMatchObject({
      message: expect.stringMatching(/Keystone at .* cannot be reached/),
    });
    cloud.misbehave(first(3, answering(503), toKeystone));
    await act();
  });

  test('waits as long as Swift asks for, up to a limit', async () => {
    const patient = await openSwiftStore('swift://backups/web', cloud.environment, { ...QUICK, longestPauseMs: 60 });
    await patient.get('c');
    cloud.misbehave(first(1, answering(429, '', { 'retry-after': '3600' }), toSwift));
    const began = performance.now();
    await patient.get('c');
    expect(performance.now() - began).toBeGreaterThan(55);
  });

  test('asks Keystone once, however many are refused at the same time', async () => {
    cloud.endTokens();
    await Promise.all(Array.from({ length: 12 }, () => store.get('c')));
    expect(cloud.tokens).toHaveLength(2);
  });
});

describe('create', () => {
  beforeEach(() => store.create('warm', []));
  const puts = objectRequests('PUT');

  test('finds its own object after a lost answer', async () => {
    cloud.misbehave(first(1, resetAfter, puts));
    expect(await store.create('a', BODY)).toBe('created');
    cloud.misbehave(first(1, answering(503), puts));
    expect(await store.create('b', BODY)).toBe('created');
  });

  test('finds another one\u2019s object after a lost answer', async () => {
    await store.create('a', [Buffer.from('others')]);
    cloud.misbehave(first(1, resetAfter, puts));
    expect(await store.create('a', BODY)).toBe('exists');
    expect(await store.get('a')).toEqual(Buffer.from('others'));
  });

  test.each([202, 409, 412])('takes %i for another writer, unless what is there is its own', async (status) => {
    const lastWins: Fault = async (forward) => {
      await forward();
      return { status };
    };
    cloud.misbehave(first(1, lastWins, puts));
    const own = await store.create('a', BODY);
    expect(own).toBe(status === 412 ? 'exists' : 'created');
    objects()?.set('web/b', Buffer.from('others'));
    cloud.misbehave(first(1, answering(status), puts));
    expect(await store.create('b', BODY)).toBe('exists');
  });

  test('sends again what was damaged on its way', async () => {
    cloud.misbehave(first(2, answering(422), puts));
    expect(await store.create('a', BODY)).toBe('created');
    cloud.misbehave(always(answering(422), puts));
    expect(await failureOf(store.create('b', BODY))).toMatchObject({
      message: expect.stringMatching(/damaged on their way to Swift \(422\)/),
    });
  });

  test('does not believe in an object of other bytes', async () => {
    cloud.misbehave(always(answering(201, '', { etag: md5(Buffer.from('others')) }), puts));
    expect(await failureOf(store.create('a', BODY))).toMatchObject({
      message: expect.stringMatching(/stored other bytes/),
    });
  });

  test('does not go round in circles when Swift contradicts itself', async () => {
    cloud.misbehave(always(answering(409), puts));
    expect(await failureOf(store.create('a', BODY))).toMatchObject({
      message: expect.stringMatching(/is there, and that it is not/),
    });
  });
});

describe('get', () => {
  const gets = objectRequests('GET');
  const whole = randomBytes(100_000);
  beforeEach(() => store.create('a', [whole]));

  test.each([
    ['half a body', half()],
    ['a page', htmlPage()],
    ['another object', changed((answer) => ({ ...answer, body: randomBytes(100_000) }))],
    ['one byte more', changed((answer) => ({ ...answer, body: Buffer.concat([whole, Buffer.alloc(1)]) }))],
    ['one byte less', changed((answer) => ({ ...answer, body: whole.subarray(1) }))],
    ['no digest', changed(({ status, body }) => ({ status, body: body ?? '' }))],
  ])('asks again after %s', async (_, fault) => {
    cloud.misbehave(first(2, fault, gets));
    expect((await store.get('a')).equals(whole)).toBe(true);
    expect(sent(gets)).toHaveLength(3);
  });

  test.each([
    ['half a body', half()],
    ['a page', htmlPage()],
    [
      'another range',
      changed((answer) => ({ ...answer, headers: { ...answer.headers, 'content-range': 'bytes 0-9/100000' } })),
    ],
    [
      'a range of another beginning',
      changed((answer) => ({ ...answer, headers: { ...answer.headers, 'content-range': 'bytes 0-19/100000' } })),
    ],
    ['fewer bytes', changed((answer) => ({ ...answer, body: whole.subarray(0, 5) }))],
    [
      'the whole object',
      changed((answer) => ({ status: 200, headers: { etag: String(answer.headers?.['etag']) }, body: whole })),
    ],
    ['an end before its beginning', answering(416, '', { 'content-range': 'bytes */100000' })],
  ])('of a range asks again after %s', async (_, fault) => {
    cloud.misbehave(first(2, fault, gets));
    expect(await store.get('a', { start: 10, end: 20 })).toEqual(whole.subarray(10, 20));
    expect(sent(gets)).toHaveLength(3);
  });

  test('a body that never fits its digest is damaged', async () => {
    cloud.misbehave(
      always(
        changed((answer) => ({ ...answer, body: Buffer.alloc(100_000) })),
        gets,
      ),
    );
    await expect(store.get('a')).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('swift://backups/web/a'),
    });
    expect(sent(gets)).toHaveLength(3);
  });

  test('a page in place of an object fails in words', async () => {
    cloud.misbehave(always(htmlPage(), gets));
    expect(await failureOf(store.get('a'))).toMatchObject({
      message: expect.stringMatching(/no object of a vault \(3 attempts\)/),
    });
  });

  test.each(['"%s"', 'W/"%s"', '%s'])('a digest may stand as %s', async (form) => {
    const etag = form.replace('%s', md5(whole).toUpperCase());
    cloud.misbehave(
      always(
        changed((answer) => ({ ...answer, headers: { etag } })),
        gets,
      ),
    );
    expect((await store.get('a')).equals(whole)).toBe(true);
  });

  test('a body of another size than an object can have is not received', async () => {
    cloud.misbehave(always(answering(200, 'x', { 'content-length': String(2 ** 40) }), gets));
    expect(await failureOf(store.get('a'))).toMatchObject({
      message: expect.stringContaining('the answer is 1099511627776 bytes long'),
    });
  });
});

describe('list', () => {
  beforeEach(async () => {
    await open({ pageSize: 2 });
    for (const key of ['a', 'b', 'c/d', 'c/e', 'f']) await store.create(key, BODY);
  });
  const rows = (...names: string[]) => JSON.stringify(names.map((name) => ({ name: `web/${name}`, bytes: 1 })));

  test('goes on until a page is empty: a page may be short', async () => {
    cloud.misbehave(
      first(
        1,
        changed(({ status }) => ({ status, body: rows('a') })),
        listings,
      ),
    );
    expect(await keys()).toEqual(['a', 'b', 'c/d', 'c/e', 'f']);
  });

  test('leaves out what is no key of ours', async () => {
    for (const name of [
      'web/',
      'web/A',
      'web/c/',
      'web/.x',
      'web/ä',
      'web/\u{1f600}',
      'web/\uff21',
      'website/a',
      'other',
    ]) {
      objects()?.set(name, Buffer.alloc(0));
    }
    expect(await keys()).toEqual(['a', 'b', 'c/d', 'c/e', 'f']);
    expect(await keys('c/')).toEqual(['c/d', 'c/e']);
  });

  test.each([
    ['out of order', rows('b', 'a')],
    ['that repeats itself', rows('a', 'a')],
    ['of another prefix', '[{"name": "other/a", "bytes": 1}]'],
    ['of no sizes', '[{"name": "web/a"}]'],
    ['of sizes that are none', '[{"name": "web/a", "bytes": -1}]'],
    ['of folders', '[{"subdir": "web/c/"}]'],
    ['that is no list', '{"rows": []}'],
    ['that is no JSON', 'a\nb\n'],
    ['cut off', '[{"name": "web/a", "by'],
  ])('a page %s is asked for again, then fails', async (_, body) => {
    cloud.misbehave(first(2, answering(200, body), listings));
    expect(await keys()).toEqual(['a', 'b', 'c/d', 'c/e', 'f']);
    cloud.misbehave(always(answering(200, body), listings));
    expect(await failureOf(keys())).toMatchObject({
      message: expect.stringMatching(/Cannot list swift:\/\/backups\/web.*listing.*3 attempts/),
    });
  });

  test('that would never end fails at the page that came before', async () => {
    cloud.misbehave(always(answering(200, rows('a', 'b')), listings));
    expect(await failureOf(keys())).toMatchObject({
      message: expect.stringMatching(/out of order, or repeats itself/),
    });
  });

  test('of another folder than was asked for fails', async () => {
    cloud.misbehave(always(answering(200, rows('a')), listings));
    expect(await failureOf(keys('c/'))).toMatchObject({
      message: expect.stringMatching(/names what was not asked for/),
    });
  });

  test('goes on behind the last page after a new token', async () => {
    const found: string[] = [];
    for await (const { key } of store.list('')) {
      found.push(key);
      cloud.endTokens();
    }
    expect(found).toEqual(['a', 'b', 'c/d', 'c/e', 'f']);
  });
});

describe('remove', () => {
  beforeEach(async () => {
    for (const key of ['a', 'b', 'c']) await store.create(key, BODY);
  });
  const report = (...of: Parameters<typeof bulkReport>): Fault => {
    const { status, headers = {}, body = '' } = bulkReport(...of);
    return answering(status, body, headers);
  };

  test.each([
    ['some fail', report(1, 0, '400 Bad Request', [['/backups/web/b', '503 Service Unavailable']])],
    ['the service breaks off', report(2, 0, '502 Bad Gateway')],
    ['an error stands beside a good status', report(2, 0, '200 OK', [['/backups/web/b', '503 Service Unavailable']])],
    ['others are counted', report(1, 0)],
    ['a page comes', htmlPage()],
    ['the report is cut off', answering(200, '{"Number Not Found": 0, "Resp')],
    ['the report says nothing', answering(200, '{}')],
    ['the answer is lost', resetAfter],
    ['half of it comes', half()],
  ])('tries again when %s', async (_, fault) => {
    cloud.misbehave(first(2, fault, bulkDeletes));
    await store.remove(['a', 'b']);
    expect(await keys()).toEqual(['c']);
    expect(sent(bulkDeletes)).toHaveLength(3);
  });

  test('a status of 200 hides no failure', async () => {
    const errors = [['/backups/web/b', '403 Forbidden']];
    cloud.misbehave(always(report(1, 0, '400 Bad Request', errors), bulkDeletes));
    expect(await failureOf(store.remove(['a', 'b']))).toMatchObject({
      message: expect.stringMatching(/Swift answers 403: the role/),
    });
    expect(sent(bulkDeletes)).toHaveLength(1);
    cloud.misbehave(
      always(report(1, 0, '400 Bad Request', [['/backups/web/b', '503 Service Unavailable']]), bulkDeletes),
    );
    expect(await failureOf(store.remove(['a', 'b']))).toMatchObject({
      message: expect.stringMatching(/could not remove all of them \(503\)/),
    });
  });

  test('of one object tries again after 409', async () => {
    cloud.misbehave(first(1, answering(409), objectRequests('DELETE')));
    await store.remove(['a']);
    expect(await keys()).toEqual(['b', 'c']);
  });

  test('tries all batches, whatever becomes of one', async () => {
    const names = Array.from({ length: 3000 }, (_, at) => `x/${at}`);
    for (const name of names) objects()?.set(`web/${name}`, Buffer.alloc(0));
    cloud.misbehave(always(answering(400), (request) => bulkDeletes(request) && request.body.includes('/x/0\n')));
    await failureOf(store.remove(names));
    expect(objects()?.size).toBe(1003);
  });
});
