import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openSwiftStore } from '#vault/store/swift-store.ts';
import { addApplicationCredential, logIn, revokeToken } from '../../../cloud/keystone.ts';
import { type SwiftSettings, useSwift } from '../../../cloud/swift.ts';
import { describeObjectStore, listAll } from '../../../conformance/object-store.ts';
import {
  type always,
  changed,
  either,
  type FaultyHttp,
  first,
  half,
  type Match,
  openFaultyHttp,
  resetAfter,
  resetBefore,
} from '../../../faulty-http.ts';
import { lacks } from '../../../setup/cache.ts';

const MIB = 1024 * 1024;
const TRAITS = { keeps: { atomicCreate: false }, listed: 300 };
const BODY = [Buffer.from('one')];
const newUrl = () => `swift://ekko-${randomBytes(6).toString('hex')}/web`;

/** What this process has written since it began, to sockets and files. */
async function bytesSent(): Promise<number> {
  const [, written] = /^wchar: (\d+)$/m.exec(await readFile('/proc/self/io', 'utf8')) ?? [];
  return Number(written);
}

let swift: SwiftSettings;
const fronts: FaultyHttp[] = [];
afterEach(() => Promise.all(fronts.splice(0).map((front) => front.close())));

async function frontOf(upstream: string): Promise<FaultyHttp> {
  const front = await openFaultyHttp(upstream);
  fronts.push(front);
  return front;
}

function byPassword({ keystone: { authUrl, member, region } }: SwiftSettings): NodeJS.ProcessEnv {
  const user = { OS_USERNAME: member.user, OS_USER_DOMAIN_NAME: 'Default', OS_PASSWORD: member.password };
  const project = { OS_PROJECT_NAME: member.project, OS_PROJECT_DOMAIN_ID: 'default', OS_REGION_NAME: region };
  return { OS_AUTH_URL: authUrl, ...user, ...project };
}

function byCredential({
  keystone: {
    authUrl,
    applicationCredential: { id, secret },
  },
}: SwiftSettings): NodeJS.ProcessEnv {
  const credential = { OS_APPLICATION_CREDENTIAL_ID: id, OS_APPLICATION_CREDENTIAL_SECRET: secret };
  return { OS_AUTH_TYPE: 'v3applicationcredential', OS_AUTH_URL: authUrl.replace(/\/v3$/, ''), ...credential };
}

/** The store, and a front before its Swift. */
async function openBehindFront() {
  const front = await frontOf(swift.origin);
  const OS_STORAGE_URL = front.url + new URL(swift.storageUrl).pathname;
  const store = await openSwiftStore(newUrl(), { ...byPassword(swift), OS_STORAGE_URL });
  return { store, front };
}

describe.skipIf(lacks('swift'))('a real Swift', () => {
  beforeAll(async () => {
    swift = await useSwift();
  });

  describeObjectStore('Swift, by password', async () => openSwiftStore(newUrl(), byPassword(await useSwift())), TRAITS);
  describeObjectStore(
    'Swift, by application credential',
    async () => openSwiftStore(newUrl(), byCredential(await useSwift())),
    { ...TRAITS, listed: 60, sideBySide: { objects: 4, bytes: MIB } },
  );

  test('a credential by name works, and so does a ready token', async () => {
    const { authUrl, applicationCredential, member } = swift.keystone;
    const OS_APPLICATION_CREDENTIAL_SECRET = applicationCredential.secret;
    const named = { OS_APPLICATION_CREDENTIAL_NAME: applicationCredential.name, OS_USERNAME: member.user };
    const url = newUrl();
    const byName = await openSwiftStore(url, { OS_AUTH_URL: authUrl, ...named, OS_APPLICATION_CREDENTIAL_SECRET });
    expect(await byName.create('a', BODY)).toBe('created');
    const { token } = await logIn(swift.keystone, member);
    const ready = await openSwiftStore(url, { OS_TOKEN: token, OS_STORAGE_URL: swift.storageUrl });
    expect(await ready.get('a')).toEqual(BODY[0]);
  });

  test('names of containers and prefixes may hold whatever Swift allows', async () => {
    const odd = `swift://ekko%20%C3%A4%3F%23%25%26${randomBytes(4).toString('hex')}/a%20b%2Bc/%C3%A4`;
    const store = await openSwiftStore(odd, byPassword(swift));
    for (const key of ['packs/a', 'packs/b']) expect(await store.create(key, BODY)).toBe('created');
    expect((await listAll(store, 'packs/', { after: 'packs/a' })).map(({ key }) => key)).toEqual(['packs/b']);
    await store.remove(['packs/a', 'packs/b']);
    expect(await listAll(store, '')).toEqual([]);
  });

  test('large objects that are there already are not sent again', async () => {
    const store = await openSwiftStore(newUrl(), byPassword(swift));
    const body = [randomBytes(8 * MIB), randomBytes(8 * MIB)];
    expect(await store.create('a', body)).toBe('created');
    const before = await bytesSent();
    for (let again = 0; again < 8; again++) expect(await store.create('a', body)).toBe('exists');
    expect((await bytesSent()) - before).toBeLessThan(64 * MIB);
    expect((await store.get('a')).equals(Buffer.concat(body))).toBe(true);
  });
});

describe.skipIf(lacks('swift'))('a real Swift on a bad day', () => {
  beforeAll(async () => {
    swift = await useSwift();
  });
  const puts: Match = ({ method, path }) => method === 'PUT' && path.endsWith('/a');
  const gets: Match = ({ method, path }) => method === 'GET' && path.endsWith('/a');

  test('a token that was revoked is replaced when Swift has noticed', async () => {
    const keystoneFront = await frontOf(new URL(swift.keystone.authUrl).origin);
    const store = await openSwiftStore(newUrl(), { ...byPassword(swift), OS_AUTH_URL: keystoneFront.url });
    await store.create('a', BODY);
    let token = '';
    const remember = changed((answer) => {
      token = String(answer.headers?.['x-subject-token']);
      return answer;
    });
    const other = await openSwiftStore(newUrl(), { ...byPassword(swift), OS_AUTH_URL: keystoneFront.url });
    keystoneFront.misbehave(first(1, remember));
    await other.create('a', BODY);
    await revokeToken(swift.keystone, token);
    while ((await fetch(swift.storageUrl, { headers: { 'x-auth-token': token } })).status !== 401) await pause(200);
    expect(await Promise.all(Array.from({ length: 8 }, () => other.get('a')))).toHaveLength(8);
    expect(keystoneFront.requests).toHaveLength(3);
    await other.remove(['a', 'b']);
    expect(await store.get('a')).toEqual(BODY[0]);
  });

  test('a Keystone that is away for a while is waited for', async () => {
    const front = await frontOf(new URL(swift.keystone.authUrl).origin);
    front.misbehave(first(2, resetBefore));
    const store = await openSwiftStore(newUrl(), { ...byPassword(swift), OS_AUTH_URL: front.url });
    expect(await store.create('a', BODY)).toBe('created');
  });

  test('lost answers, cut connections and half a body do no harm', async () => {
    const { store, front } = await openBehindFront();
    const whole = randomBytes(3 * MIB);
    await store.create('warm', BODY);
    front.misbehave(either(first(1, resetAfter, puts), first(1, half(), gets)));
    expect(await store.create('a', [whole.subarray(0, MIB), whole.subarray(MIB)])).toBe('created');
    expect((await store.get('a')).equals(whole)).toBe(true);
    expect([front.requests.filter(puts).length, front.requests.filter(gets).length]).toEqual([2, 2]);
    front.misbehave(first(1, resetBefore));
    expect(await store.create('a', [randomBytes(9)])).toBe('exists');
  });

  test('bytes that are damaged on their way to Swift are not stored', async () => {
    const { store, front } = await openBehindFront();
    await store.create('warm', BODY);
    const damage: Parameters<typeof always>[0] = async (forward, request) => {
      request.body[0] = (request.body[0] ?? 0) ^ 1;
      return forward();
    };
    front.misbehave(first(2, damage, puts));
    const whole = Buffer.from('whole');
    expect(await store.create('a', [whole])).toBe('created');
    expect(await store.get('a')).toEqual(whole);
    expect(front.requests.filter(puts)).toHaveLength(3);
  });
});

describe.skipIf(lacks('swift'))('a real Swift refuses', () => {
  beforeAll(async () => {
    swift = await useSwift();
  });

  test.each([
    ['a wrong password', { OS_PASSWORD: 'hunter2' }, /refuses the user "ekko".*password is wrong/],
    ['a wrong user', { OS_USERNAME: 'nobody' }, /refuses the user "nobody"/],
    ['a wrong domain', { OS_USER_DOMAIN_NAME: 'Nowhere' }, /refuses the user "ekko"/],
    ['a wrong project', { OS_PROJECT_NAME: 'nowhere' }, /no project "nowhere" in which it has a role/],
    ['a wrong region', { OS_REGION_NAME: 'Mars' }, /no object-store in region "Mars".*RegionOne \(public\)/],
    ['another account', { OS_STORAGE_URL: 'AUTH_other' }, /Swift answers 403.*role or the access rules/],
  ])('%s, and it is said in words', async (_, { OS_STORAGE_URL, ...wrong }: NodeJS.ProcessEnv, message) => {
    const environment = {
      ...byPassword(swift),
      ...wrong,
      ...(OS_STORAGE_URL && { OS_STORAGE_URL: `${swift.origin}/v1/${OS_STORAGE_URL}` }),
    };
    const store = await openSwiftStore(newUrl(), environment);
    await expect(store.create('a', BODY)).rejects.toMatchObject({
      code: 'store-failed',
      message: expect.stringMatching(message),
    });
  });

  test('an application credential that may do no more than a vault needs is enough, and less is not', async () => {
    const url = newUrl();
    const container = new URL(url).hostname;
    const account = new URL(swift.storageUrl).pathname;
    const rule = (method: string, path: string) => ({ service: 'object-store', method, path });
    const needed = [
      ...['PUT', 'POST', 'GET'].map((method) => rule(method, `${account}/${container}`)),
      ...['PUT', 'GET', 'HEAD', 'DELETE'].map((method) => rule(method, `${account}/${container}/**`)),
    ];
    const open = async (name: string, access_rules: object[]) => {
      const more = { name: `${name}-${container}`, roles: [{ name: 'member' }], access_rules };
      const { id, secret } = await addApplicationCredential(swift.keystone, swift.keystone.member, more);
      const environment = { OS_APPLICATION_CREDENTIAL_ID: id, OS_APPLICATION_CREDENTIAL_SECRET: secret };
      return openSwiftStore(url, { OS_AUTH_URL: swift.keystone.authUrl, ...environment });
    };
    const store = await open('enough', needed);
    for (const key of ['a', 'b', 'c']) expect(await store.create(key, BODY)).toBe('created');
    expect(await store.get('a', { start: 0, end: 0 })).toHaveLength(0);
    await store.remove(['a', 'b']);
    await store.remove(['none']);
    expect(await listAll(store, '')).toEqual([{ key: 'c', size: 3 }]);

    const reader = await open('reader', [rule('GET', `${account}/${container}/**`)]);
    expect(await reader.get('c')).toEqual(BODY[0]);
    await expect(reader.create('d', BODY)).rejects.toThrow(/the role or the access rules|refuses a token/);
  });
});
