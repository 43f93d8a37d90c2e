import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { VOLUME } from './fake-cloud.ts';
import { type Lab, openLab } from './lab.ts';

const WEB = '11111111-1111-4111-8111-111111111111';
const DB = '22222222-2222-4222-8222-222222222222';
const OLD = '33333333-3333-4333-8333-333333333333';
const SOUND = { vault: 'main', members: { servers: [WEB] } };

let lab: Lab;
beforeEach(async () => {
  lab = await openLab();
});
afterEach(() => lab.close());

const put = (path: string, body: unknown, token = 'alice') => lab.call('PUT', path, { body, token });
const makeVault = (vault = 'main', token = 'alice') =>
  put(`/v1/vaults/${vault}`, { store: `swift:${vault}`, escrow: 'waived' }, token);

describe('without a token', () => {
  test('only what is for everybody is answered', async () => {
    for (const path of ['/healthcheck', '/v1', '/v1/openapi.json', '/v1/schemas/policy.json']) {
      expect([path, (await lab.call('GET', path, { token: null })).status]).toEqual([path, 200]);
    }
    const answer = await lab.call('GET', '/v1/vaults', { token: null });
    expect([answer.status, answer.body.code, answer.headers.get('content-type')]).toEqual([
      401,
      'token-refused',
      'application/problem+json',
    ]);
    expect(answer.headers.get('www-authenticate')).toBe('Keystone');
  });

  test('every call but those is refused, before anything of it is looked at', async () => {
    const { body: document } = await lab.call('GET', '/v1/openapi.json', { token: null });
    const open = ['/healthcheck', '/v1', '/v1/openapi.json', '/v1/schemas/policy.json'];
    for (const [path, operations] of Object.entries<object>(document.paths)) {
      for (const method of Object.keys(operations)) {
        const place = path.replaceAll(/\{\w+\}/g, 'x');
        const { status } = await lab.call(method.toUpperCase(), place, {
          token: null,
          ...(method === 'get' ? {} : { body: '{' }),
        });
        expect([method, path, status]).toEqual([method, path, open.includes(path) ? 200 : 401]);
      }
    }
  });
});

describe('a token', () => {
  test.each([
    ['unknown', 'gone'],
    ['expired', 'old'],
  ])('that is %s is refused in words', async (_, token) => {
    lab.cloud.tokens.set('old', { project: 'a', roles: ['member'], expiresAt: Date.now() - 1000 });
    const { status, body } = await lab.call('GET', '/v1/vaults', { token });
    expect([status, body.code]).toEqual([401, 'token-refused']);
    expect(body.detail).toMatch(/expired.*Get a new one/);
  });

  test('without a role, or of no project, gets 403 for everything', async () => {
    const { body: document } = await lab.call('GET', '/v1/openapi.json');
    for (const [path, operations] of Object.entries<Record<string, { security?: unknown }>>(document.paths)) {
      for (const [method, { security }] of Object.entries(operations)) {
        if (security === undefined) continue;
        for (const token of ['nobody', 'unscoped']) {
          const { status } = await lab.call(method.toUpperCase(), path.replaceAll(/\{\w+\}/g, 'x'), { token });
          expect([method, path, token, status]).toEqual([method, path, token, 403]);
        }
      }
    }
  });

  test('of a reader reads and changes nothing', async () => {
    await makeVault();
    expect((await lab.call('GET', '/v1/vaults/main', { token: 'reader' })).status).toBe(200);
    expect((await put('/v1/policies/p', SOUND, 'reader')).status).toBe(403);
    expect((await lab.call('DELETE', '/v1/vaults/main', { token: 'reader' })).status).toBe(403);
    expect((await lab.call('POST', '/v1/runs', { token: 'reader', body: { policy: 'p' } })).body.code).toBe(
      'forbidden',
    );
  });
});

describe('a vault', () => {
  test('is made once, found again, listed, and forgotten without its data', async () => {
    const made = await makeVault();
    expect([made.status, made.body]).toEqual([201, expect.objectContaining({ vault: 'main', store: 'swift:main' })]);
    expect(await makeVault()).toMatchObject({ status: 200, body: { id: made.body.id } });
    expect((await lab.call('GET', '/v1/vaults')).body.vaults).toEqual([made.body]);
    const { body } = await lab.call('DELETE', '/v1/vaults/main');
    expect(body.message).toContain('stays in swift:main');
    expect((await lab.call('GET', '/v1/vaults/main')).status).toBe(404);
    expect(await makeVault()).toMatchObject({ status: 201, body: { id: made.body.id } });
  });

  test('that is made twice at once is one', async () => {
    const both = await Promise.all([makeVault(), makeVault()]);
    expect(new Set(both.map(({ body }) => body.id)).size).toBe(1);
  });

  test('cannot silently move', async () => {
    await makeVault();
    expect(await put('/v1/vaults/main', { store: 'swift:elsewhere' })).toMatchObject({
      status: 409,
      body: { code: 'object-exists' },
    });
  });

  test.each([
    'https://10.0.0.1/x',
    'swift://host/x',
    'file:/etc',
    'swift:../x',
    'swift:a/../../b',
    'swift:a?region=b',
    'swift:a@b',
    's3:bucket',
    'swift:',
  ])('lies in a container of the caller, never at %s', async (store) => {
    expect((await put('/v1/vaults/main', { store })).status).toBe(400);
    expect(lab.vaults.openNow()).toBe(0);
  });

  test('without a second recipient is refused its first run in words', async () => {
    await put('/v1/vaults/main', { store: 'swift:main' });
    lab.addServer(WEB, {});
    const exporter = await lab.addHost('c1');
    exporter.addDisk(`${WEB}/root`, 2);
    await put('/v1/policies/p', SOUND);
    const { status, body } = await lab.call('POST', '/v1/runs', { body: { policy: 'p' } });
    expect([status, body.code]).toEqual([403, 'no-escrow']);
    expect(body.detail).toContain('"escrow": "waived"');
  });
});

describe('a policy', () => {
  beforeEach(() => makeVault());

  test('is made, changed, shown with its next run, and deleted', async () => {
    const schedule = { cron: '0 3 * * *', timeZone: 'Europe/Berlin' };
    expect((await put('/v1/policies/nightly', { ...SOUND, schedule })).status).toBe(201);
    const { body } = await lab.call('GET', '/v1/policies/nightly');
    expect(body).toMatchObject({ ...SOUND, schedule, quiesce: 'prefer', trigger: '0 1,2 * * *' });
    expect(Date.parse(body.nextRun)).toBeGreaterThan(Date.now());
    expect((await put('/v1/policies/nightly', SOUND)).status).toBe(200);
    expect((await lab.call('GET', '/v1/policies/nightly')).body.nextRun).toBeUndefined();
    expect((await lab.call('DELETE', '/v1/policies/nightly')).body.message).toContain('They stay in vault main');
    expect((await lab.call('DELETE', '/v1/policies/nightly')).status).toBe(404);
  });

  test('needs a vault of its own project', async () => {
    await makeVault('other', 'bob');
    const { status, body } = await put('/v1/policies/p', { ...SOUND, vault: 'other' });
    expect([status, body.detail]).toEqual([400, expect.stringContaining('PUT /v1/vaults/other')]);
    const copied = await put('/v1/policies/p', { ...SOUND, copyTo: { vault: 'other' } });
    expect([copied.status, copied.body.detail]).toEqual([400, expect.stringContaining('PUT /v1/vaults/other')]);
  });

  test.each<[string, object]>([
    ['an impossible day', { schedule: { cron: '0 3 30 2 *' } }],
    ['an unknown field', { retension: { daily: 7 } }],
    ['nothing to keep', { retention: { daily: 0 } }],
    ['somebody else’s vault', { vault: 'other' }],
    ['10,000 servers', { members: { servers: Array.from({ length: 10_000 }, () => WEB) } }],
  ])('that is to have %s is refused in words, and stays as it was', async (_, change) => {
    await makeVault('other', 'bob');
    await put('/v1/policies/p', SOUND);
    const { body: before } = await lab.call('GET', '/v1/policies/p');
    const { status, body } = await put('/v1/policies/p', { ...SOUND, ...change });
    expect([status, body.code]).toEqual([400, 'bad-input']);
    expect(body.detail.length).toBeGreaterThan(20);
    expect((await lab.call('GET', '/v1/policies/p')).body).toEqual(before);
  });

  test.each(['A', 'a_b', '-a', 'x'.repeat(65), 'a%2Fb', '%00'])('is not called %s', async (name) => {
    expect((await put(`/v1/policies/${name}`, SOUND)).status).toBe(400);
  });

  test('is listed in pages, of the caller’s project alone', async () => {
    for (let n = 0; n < 7; n++) await put(`/v1/policies/p${n}`, SOUND);
    await makeVault('main', 'bob');
    await put('/v1/policies/theirs', SOUND, 'bob');
    const first = await lab.call('GET', '/v1/policies?limit=4');
    const second = await lab.call('GET', `/v1/policies?limit=4&marker=${first.body.next}`);
    const names = [first, second].flatMap(({ body }) => body.policies.map(({ policy }: { policy: string }) => policy));
    expect(names).toEqual(['p0', 'p1', 'p2', 'p3', 'p4', 'p5', 'p6']);
    expect(second.body.next).toBeUndefined();
    for (const query of ['limit=0', 'limit=201', 'limit=x', 'marker=']) {
      expect((await lab.call('GET', `/v1/policies?${query}`)).status).toBe(400);
    }
  });

  test('of another project is not there, whatever is asked of it', async () => {
    await put('/v1/policies/p', SOUND);
    for (const token of ['bob', 'admin']) {
      expect((await lab.call('GET', '/v1/policies/p', { token })).status).toBe(404);
      expect((await lab.call('GET', '/v1/policies/p/members', { token })).status).toBe(404);
      expect((await lab.call('DELETE', '/v1/policies/p', { token })).status).toBe(404);
      expect((await lab.call('GET', '/v1/vaults/main/points', { token })).status).toBe(404);
      expect((await lab.call('POST', '/v1/vaults/main/upkeep', { token, body: { sweep: true } })).status).toBe(404);
    }
    expect((await lab.call('GET', '/v1/policies/p')).status).toBe(200);
  });
});

describe('the members of a policy', () => {
  beforeEach(async () => {
    await makeVault();
    const [c1, c2] = [await lab.addHost('c1'), await lab.addHost('c2')];
    lab.addServer(WEB, { name: 'web', host: 'c1', tags: ['backup'], volumes: [VOLUME] });
    lab.addServer(DB, { name: 'db', host: 'c2' });
    c1.addDisk(`${WEB}/root`, 4);
    c1.addDisk(`${WEB}/${VOLUME}`, 2);
    c2.addDisk(`${DB}/root`, 8);
  });
  const membersOf = async (members: object, more: object = {}) => {
    await put('/v1/policies/p', { ...SOUND, members, ...more });
    return lab.call('GET', '/v1/policies/p/members');
  };
  const names = (body: { members: { name: string }[] }) => body.members.map(({ name }) => name).sort();

  test('are found by id, by tag, and in a stack with all that is nested in it, each once', async () => {
    lab.cloud.stacks.set('shop', { project: 'a', servers: [DB, WEB] });
    expect(names((await membersOf({ servers: [WEB] })).body)).toEqual(['web']);
    expect(names((await membersOf({ tags: ['backup', 'other'] })).body)).toEqual(['web']);
    expect(names((await membersOf({ stack: 'shop' })).body)).toEqual(['db', 'web']);
    expect(names((await membersOf({ stack: 'shop', servers: [WEB], tags: ['backup'] })).body)).toEqual(['db', 'web']);
    const asked = lab.cloud.requests.filter(({ path }) => path.endsWith('/resources'));
    expect(asked.every(({ query }) => Number(query.get('nested_depth')) >= 5)).toBe(true);
  });

  test('are shown with their disks, the host that exports them, and the names of their volumes', async () => {
    const { body } = await membersOf({ servers: [WEB] });
    expect(body.members).toEqual([
      {
        ...{ server: WEB, name: 'web', status: 'ACTIVE', host: 'c1' },
        disks: [
          { name: `${WEB}/root`, size: 4 * 65_536 },
          { name: `${WEB}/${VOLUME}`, size: 2 * 65_536, volume: VOLUME, volumeName: 'data of web' },
        ],
      },
    ]);
    expect(body.warnings).toEqual([]);
  });

  test.each<[string, object, string[]]>([
    ['all but one', { exclude: [VOLUME] }, [`${WEB}/root`]],
    ['only one', { include: ['root'] }, [`${WEB}/root`]],
    ['one of one server', { exclude: [`${WEB}/root`] }, [`${WEB}/${VOLUME}`]],
  ])('bring %s of their disks', async (_, disks, expected) => {
    const { body } = await membersOf({ servers: [WEB] }, { disks });
    expect(body.members[0].disks.map(({ name }: { name: string }) => name)).toEqual(expected);
  });

  test('that are not protected are named with the reason', async () => {
    lab.addServer(OLD, { name: 'old', host: 'c9' });
    const gone = '44444444-4444-4444-8444-444444444444';
    const broken = '55555555-5555-4555-8555-555555555555';
    lab.addServer(broken, { name: 'broken', status: 'ERROR' });
    const { body } = await membersOf({ servers: [WEB, OLD, gone, broken] }, { disks: { exclude: [VOLUME] } });
    expect(
      Object.fromEntries(body.warnings.map((each: { code: string; server: string }) => [each.server, each.code])),
    ).toEqual({
      [WEB]: 'unprotected-volume',
      [OLD]: 'no-exporter',
      [gone]: 'server-missing',
      [broken]: 'unprotected-server',
    });
  });

  test('include nobody of another project, whoever names them', async () => {
    lab.addServer(OLD, { project: 'b', name: 'theirs', host: 'c1' });
    const { body } = await membersOf({ servers: [WEB, OLD] });
    expect(body.warnings).toEqual([expect.objectContaining({ server: OLD, code: 'server-missing' })]);
    expect(JSON.stringify(body)).not.toContain('theirs');
  });

  test.each<[string, object, RegExp]>([
    ['a stack that is not there', { stack: 'gone' }, /no stack "gone".*deleted/],
    ['a tag that nobody has', { tags: ['nothing'] }, /no server has a tag of nothing/],
  ])('of %s are refused in words', async (_, members, said) => {
    const { status, body } = await membersOf(members);
    expect([status, body.code, body.detail]).toEqual([400, 'bad-input', expect.stringMatching(said)]);
  });

  test('that are 10,000 are refused, without asking about each', async () => {
    for (let n = 0; n < 10_000; n++)
      lab.addServer(`${String(n).padStart(8, '0')}-0000-4000-8000-000000000000`, { tags: ['crowd'] });
    const before = lab.cloud.requests.length;
    const { status, body } = await membersOf({ tags: ['crowd'] });
    expect([status, body.detail]).toEqual([400, expect.stringMatching(/more than 250.*Split/)]);
    lab.cloud.stacks.set('crowd', { project: 'a', servers: [...lab.cloud.servers.keys()] });
    expect((await membersOf({ stack: 'crowd' })).body.detail).toMatch(/more than 250.*Split/);
    expect(lab.cloud.requests.length - before).toBeLessThan(30);
  });

  test.each(['nova', 'heat', 'keystone'])(
    'cannot be found while %s is down, which is said, and can afterwards',
    async (service) => {
      lab.cloud.stacks.set('shop', { project: 'a', servers: [WEB] });
      await put('/v1/policies/p', { ...SOUND, members: { stack: 'shop' } });
      lab.cloud.down.add(service);
      const token = service === 'keystone' ? 'admin' : 'alice';
      const { status, body } = await lab.call('GET', '/v1/policies/p/members', { token });
      expect([status, body.code]).toEqual([502, 'cloud-failed']);
      expect(body.detail.toLowerCase()).toContain(service);
      lab.cloud.down.clear();
      expect((await lab.call('GET', '/v1/policies/p/members')).status).toBe(200);
    },
  );
});

describe('exporters', () => {
  test('are registered by a service alone, and shown to those who run the cloud', async () => {
    const body = { url: 'https://c1.example.org:8902' };
    for (const token of ['alice', 'admin', 'reader'])
      expect((await put('/v1/exporters/c1', body, token)).status).toBe(403);
    expect(await put('/v1/exporters/c1', body, 'exporter')).toMatchObject({
      status: 200,
      body: { host: 'c1', stale: false },
    });
    expect((await lab.call('GET', '/v1/exporters')).status).toBe(403);
    expect((await lab.call('GET', '/v1/exporters', { token: 'admin' })).body.exporters).toHaveLength(1);
  });

  test.each(['http://c1.example.org:8902', 'https://u:p@c1', 'ftp://c1', 'c1', 'https://c1/?x=1'])(
    'cannot be at %s, where tokens would leak',
    async (url) => {
      expect((await put('/v1/exporters/c1', { url }, 'exporter')).status).toBe(400);
    },
  );

  test('that say the same each minute do not fill the registry', async () => {
    for (let n = 0; n < 20; n++) await put('/v1/exporters/c1', { url: `https://c1.example.org:${n % 2}` }, 'exporter');
    expect((await Array.fromAsync(lab.registry.list('exporters/'))).length).toBeLessThanOrEqual(4);
  });
});

describe('whoever asks too much', () => {
  test('is told when to come back, and others are not touched', async () => {
    await lab.close();
    lab = await openLab({ requests_per_minute: 60, refusals_per_minute: 1000 });
    const answers = await Promise.all(Array.from({ length: 40 }, () => lab.call('GET', '/v1/policies')));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await lab.call('GET', '/v1/policies', { token: 'bob' })).status).toBe(200);
  });

  test('does not wait for exporters that tell of parts', async () => {
    await lab.close();
    lab = await openLab({ requests_per_minute: 60, refusals_per_minute: 1000 });
    const tell = () => lab.call('POST', '/v1/runs/20260101-000000-abcdef/notices', { body: { keys: ['staging/x'] } });
    const told = await Promise.all(Array.from({ length: 40 }, tell));
    expect(told.map(({ status }) => status)).toContain(429);
    expect((await lab.call('GET', '/v1/policies')).status).toBe(200);
  });

  test('with refused tokens keeps nobody at Keystone busy', async () => {
    await lab.close();
    lab = await openLab({ requests_per_minute: 1000, refusals_per_minute: 30 });
    for (let n = 0; n < 40; n++) await lab.call('GET', '/v1/policies', { token: `guess-${n}` });
    expect(
      lab.cloud.requests.filter(({ path, method }) => path.startsWith('/keystone') && method === 'GET').length,
    ).toBeLessThan(35);
  });

  test('with a large body, a broken one or a strange one is refused', async () => {
    await makeVault();
    expect((await put('/v1/policies/p', 'x'.repeat(600_000))).body.code).toBe('too-large');
    expect((await put('/v1/policies/p', '{"vault"')).body.detail).toContain('not JSON');
    expect((await put('/v1/policies/p', '[]')).status).toBe(400);
    expect((await lab.call('PUT', '/v1/policies/p')).status).toBe(400);
  });

  test('with more than a body may have is cut off', async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const { port } = new URL(lab.url());
      const sending = request(
        { port, method: 'PUT', path: '/v1/policies/p', headers: { 'x-auth-token': 'alice' } },
        (answer) => resolve(answer.statusCode),
      );
      sending.on('error', (error: NodeJS.ErrnoException) =>
        error.code === 'EPIPE' || error.code === 'ECONNRESET' ? resolve(413) : reject(error),
      );
      for (let n = 0; n < 40; n++) sending.write(Buffer.alloc(65_536, 0x20));
      sending.end();
    });
    expect(status).toBe(413);
    expect((await lab.call('GET', '/healthcheck')).status).toBe(200);
  });

  test.each(['/v1/nothing', '/', '/v1/policies/a/b/c', '//evil.example.org/v1', '/v1/%zz'])(
    'for %s is told that it is not there',
    async (path) => {
      expect([400, 404]).toContain((await lab.call('GET', path)).status);
    },
  );
});
