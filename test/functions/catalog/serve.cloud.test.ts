import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { barbicanKeyProvider } from '#vault/keys/barbican-key.ts';
import { openStore } from '#vault/store/open-store.ts';
import { openVault } from '#vault/vault.ts';
import { type BarbicanSettings, useBarbican } from '../../cloud/barbican.ts';
import { addUser, callKeystone, type KeystoneSettings, type KeystoneUser, logIn } from '../../cloud/keystone.ts';
import { usePostgres } from '../../cloud/postgres.ts';
import { freePort } from '../../cloud/service.ts';
import { newDatabase } from '../../cloud/sql-server.ts';
import { type SwiftSettings, useSwift } from '../../cloud/swift.ts';
import { restored } from '../../restored.ts';
import { lacks } from '../../setup/cache.ts';
import { type Desk, openDesk, type Started } from '../command-line/ekko.ts';
import { checkAnswer } from './api-contract.ts';
import { type FakeCloud, openFakeCloud } from './fake-cloud.ts';
import { settingsFor } from './lab.ts';
import { openStubExporter, type StubExporter } from './stub-exporter.ts';
import { memoryPlaces } from './test-vaults.ts';

const WEB = '11111111-1111-4111-8111-111111111111';
const DISK = `${WEB}/root`;
const CONTAINER = `ekko-${randomBytes(6).toString('hex')}`;

/** Real: `ekko serve` as a process with its functions, Keystone, Swift, Barbican, PostgreSQL. Not real: Nova and the exporter. */
describe.skipIf(lacks('control-plane', 'swift', 'postgres'))('ekko serve in a cloud', () => {
  let swift: SwiftSettings;
  let barbican: BarbicanSettings;
  let desk: Desk;
  let cloud: FakeCloud;
  let exporter: StubExporter;
  let served: Started;
  let url: string;
  let tokens: Record<'member' | 'stranger' | 'exporter', string>;
  const output: string[] = [];

  beforeAll(async () => {
    const [postgres] = await Promise.all([
      usePostgres(),
      useSwift().then((found) => {
        swift = found;
      }),
      useBarbican().then((found) => {
        barbican = found;
      }),
    ]);
    const { keystone } = swift;
    const service = await serviceUser(keystone);
    const stranger = await addUser(keystone, { user: 'catalog-stranger', project: 'elsewhere', role: 'member' });
    const tokenOf = async (user: KeystoneUser) => (await logIn(keystone, user)).token;
    tokens = {
      member: await tokenOf(keystone.member),
      stranger: await tokenOf(stranger),
      exporter: await tokenOf(service),
    };
    cloud = await openFakeCloud();
    for (const [token, project] of [
      [tokens.member, keystone.member.projectId],
      [tokens.stranger, stranger.projectId],
    ] as const) {
      cloud.tokens.set(token, { project, roles: ['member'], expiresAt: Date.now() + 3_600_000 });
    }
    cloud.servers.set(WEB, { project: keystone.member.projectId, name: 'web', host: 'c1' });
    exporter = await openStubExporter(cloud, 'c1', memoryPlaces());
    exporter.addDisk(DISK, 24);
    desk = await openDesk({
      OS_AUTH_TYPE: 'v3applicationcredential',
      OS_AUTH_URL: keystone.authUrl,
      OS_APPLICATION_CREDENTIAL_ID: keystone.applicationCredential.id,
      OS_APPLICATION_CREDENTIAL_SECRET: keystone.applicationCredential.secret,
    });
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const { limits } = settingsFor(cloud, '');
    const settings = {
      ...{
        public_url: url,
        listen: { host: '127.0.0.1', port },
        registry: `swift://${CONTAINER}-registry`,
        limits,
        workers: 1,
      },
      keystone: { url: keystone.authUrl, user: service.user, password: service.password, project: service.project },
      endpoints: {
        nova: `${cloud.url}/nova`,
        swift: `${swift.origin}/v1/AUTH_%(project_id)s`,
        barbican: barbican.origin,
      },
      journal_file: desk.path('journal'),
    };
    await writeFile(desk.path('journal'), `${await newDatabase(postgres)}\n`, { mode: 0o600 });
    await writeFile(desk.path('serve.yaml'), JSON.stringify(settings), { mode: 0o600 });
    served = desk.start(['serve', '--settings', desk.path('serve.yaml')], { keyFile: undefined });
    for (const stream of [served.child.stdout, served.child.stderr])
      stream?.on('data', (data) => output.push(String(data)));
    while (!(await fetch(`${url}/healthcheck`).catch(() => undefined))?.ok)
      await new Promise((resolve) => setTimeout(resolve, 100));
  });

  afterAll(async () => {
    served?.child.kill('SIGTERM');
    await served?.ended;
    await Promise.all([desk?.remove(), cloud?.close(), exporter?.stop()]);
  });

  async function call(method: string, path: string, body?: object, who: keyof typeof tokens = 'member') {
    const headers = { 'x-auth-token': tokens[who], 'content-type': 'application/json' };
    const answer = await fetch(url + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const parsed = (await answer.json()) as Record<string, string> & { access: { secret: string } };
    checkAnswer(method, path, answer.status, answer.headers.get('content-type') ?? '', parsed);
    return { status: answer.status, body: parsed };
  }

  test('a tenant’s vault is made in the tenant’s own account, its key in the tenant’s Barbican, and found again', async () => {
    const wish = { store: `swift:${CONTAINER}/web`, escrow: 'waived' };
    const made = await call('PUT', '/v1/vaults/main', wish);
    expect(made).toMatchObject({ status: 201, body: { access: { secret: expect.any(String) } } });
    expect((await call('PUT', '/v1/vaults/main', wish)).status).toBe(200);
    await call('DELETE', '/v1/vaults/main');
    const again = await call('PUT', '/v1/vaults/main', wish);
    expect(again).toMatchObject({ status: 201, body: { id: made.body['id'], access: made.body.access } });
  });

  test('a server is backed up into it by temporary URLs, twice, and restored bit for bit', async () => {
    expect((await call('PUT', '/v1/exporters/c1', { url: exporter.url() }, 'exporter')).status).toBe(200);
    await call('PUT', '/v1/policies/shop', { vault: 'main', members: { servers: [WEB] } });
    const runs: string[] = [];
    for (const content of [11, 22]) {
      for (let segment = 0; segment < 20; segment++) exporter.disks.get(DISK)?.write(segment, content * 100 + segment);
      const { run = '' } = (await call('POST', '/v1/runs', { policy: 'shop' })).body;
      await call('POST', `/v1/runs/${run}/moment`);
      while ((await call('GET', `/v1/runs/${run}`)).body['state'] === 'exporting')
        await new Promise((resolve) => setTimeout(resolve, 50));
      expect((await call('POST', `/v1/runs/${run}/commit`)).body).toMatchObject({
        point: run,
        disks: 1,
        partial: false,
      });
      runs.push(run);
    }
    const { secret } = (await call('GET', '/v1/vaults/main')).body.access;
    const environment = { OS_AUTH_TYPE: 'token', OS_TOKEN: tokens.member, OS_STORAGE_URL: swift.storageUrl };
    const store = await openStore(`swift://${CONTAINER}/web`, environment);
    const keys = barbicanKeyProvider({ endpoint: barbican.origin, token: () => tokens.member }, secret);
    const vault = await openVault(store, keys, desk.path('journal'));
    for (const run of runs) {
      const truth = exporter.disks.get(DISK)?.moments.get(run);
      expect((await restored(vault, run, DISK)).equals(truth ?? Buffer.alloc(0))).toBe(true);
    }
  });

  test('upkeep runs by the functions, with the tenant’s rights', async () => {
    expect((await call('POST', '/v1/vaults/main/upkeep', { sweep: true, verify: 100 })).status).toBe(202);
    while ((await call('GET', '/v1/vaults/main/upkeep')).body['state'] === 'running')
      await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await call('GET', '/v1/vaults/main/upkeep')).body).toMatchObject({
      state: 'done',
      report: { verify: { findings: [] } },
    });
  });

  test('another tenant sees nothing of it, and cannot put a vault onto it', async () => {
    for (const path of ['/v1/vaults/main', '/v1/policies/shop', '/v1/vaults/main/points']) {
      expect((await call('GET', path, undefined, 'stranger')).status).toBe(404);
    }
    const theirs = await call(
      'PUT',
      '/v1/vaults/main',
      { store: `swift:${CONTAINER}/web`, escrow: 'waived' },
      'stranger',
    );
    const ours = await call('GET', '/v1/vaults/main');
    expect(theirs.body['id']).not.toBe(ours.body['id']);
  });

  test('nothing secret is in what the service says', async () => {
    const said = output.join('');
    expect(said).toContain('"path":"/v1/runs"');
    for (const token of Object.values(tokens)) expect(said).not.toContain(token);
    expect(said).not.toContain('ekko-key-');
    expect(said).not.toContain('temp_url_sig');
  });
});

async function serviceUser(keystone: KeystoneSettings): Promise<KeystoneUser> {
  const { token } = await logIn(keystone, keystone.admin);
  await callKeystone(keystone, token, 'POST', '/roles', { role: { name: 'service' } }).catch(() => undefined);
  return addUser(keystone, { user: 'ekko-serve', project: 'service', role: 'service' });
}
