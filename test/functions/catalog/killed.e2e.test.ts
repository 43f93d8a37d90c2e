import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../cloud/service.ts';
import { restored } from '../../restored.ts';
import { guestView } from '../restorer/guest-view.ts';
import { type FakeCloud, openFakeCloud } from './fake-cloud.ts';
import { type FakeGlance, openFakeGlance } from './fake-glance.ts';
import { settingsFor } from './lab.ts';
import { openStubExporter, type StubExporter } from './stub-exporter.ts';
import { filePlaces, openTestVaults } from './test-vaults.ts';

const WEB = '11111111-1111-4111-8111-111111111111';
const DISK = `${WEB}/root`;
let folder: string;
let cloud: FakeCloud;
let glance: FakeGlance;
let exporter: StubExporter;
let url: string;
let child: ChildProcess | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-killed-'));
  cloud = await openFakeCloud();
  glance = await openFakeGlance((token) => cloud.tokens.get(token)?.project);
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  const plain = settingsFor(cloud, url);
  const settings = {
    ...plain,
    endpoints: { ...plain.endpoints, glance: glance.url },
    listen: { host: '127.0.0.1', port },
    registry: join(folder, 'registry'),
  };
  await writeFile(join(folder, 'serve.yaml'), JSON.stringify(settings), { mode: 0o600 });
  cloud.tokens.set('alice', { project: 'a', roles: ['member'], expiresAt: Date.now() + 3_600_000 });
  cloud.tokens.set('exporter', { project: 's', roles: ['service'], expiresAt: Date.now() + 3_600_000 });
  cloud.servers.set(WEB, { project: 'a', name: 'web', host: 'c1' });
  exporter = await openStubExporter(cloud, 'c1', filePlaces(join(folder, 'vaults')));
  exporter.addDisk(DISK, 40);
  await startServing();
  await call('PUT', '/v1/exporters/c1', { url: exporter.url() }, 'exporter');
  await call('PUT', '/v1/vaults/main', { store: 'swift:main', escrow: 'waived' });
  await call('PUT', '/v1/policies/shop', { vault: 'main', members: { servers: [WEB] } });
});

afterAll(async () => {
  await killServing();
  await Promise.all([cloud.close(), glance.close(), exporter.stop()]);
  await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
});

async function startServing(): Promise<void> {
  const program = join(import.meta.dirname, 'serve-process.ts');
  const started = spawn(process.execPath, [program, join(folder, 'serve.yaml'), join(folder, 'vaults')], {
    env: { ...process.env, POWERTOOLS_LOG_LEVEL: 'SILENT' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child = started;
  await once(started.stdout, 'data');
}

async function killServing(): Promise<void> {
  if (child === undefined || child.exitCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** A connection of the client's that the dead process has left may fail once. */
async function call(method: string, path: string, body?: object, token = 'alice') {
  const headers = { 'x-auth-token': token, 'content-type': 'application/json' };
  const ask = () =>
    fetch(url + path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const answer = await ask().catch(ask).catch(ask);
  const parsed = (await answer.json()) as Record<string, string>;
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(parsed)}`);
  return parsed;
}

async function until(run: string, state: string): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if ((await call('GET', `/v1/runs/${run}`))['state'] === state) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`The run is not ${state}: ${JSON.stringify(await call('GET', `/v1/runs/${run}`))}`);
}

async function killAndServeAgain(): Promise<void> {
  await killServing();
  await startServing();
}

/** Where the process is killed, and what is then asked for again, as a workflow that tries again does. */
const DEATHS: Readonly<Record<string, (run: string) => Promise<void>>> = {
  'before the moment': async (run) => {
    await killAndServeAgain();
    await call('POST', `/v1/runs/${run}/moment`);
  },
  'between the steps of the moment': async (run) => {
    exporter.delay = 400;
    const moment = call('POST', `/v1/runs/${run}/moment`).catch(() => undefined);
    while (!exporter.steps.some(({ step }) => step === 'checkpoint'))
      await new Promise((resolve) => setTimeout(resolve, 5));
    await killServing();
    await moment;
    exporter.delay = 0;
    await startServing();
    await call('POST', `/v1/runs/${run}/moment`);
  },
  'while parts are processed': async (run) => {
    await call('POST', `/v1/runs/${run}/moment`);
    await killAndServeAgain();
  },
  'while it commits': async (run) => {
    await call('POST', `/v1/runs/${run}/moment`);
    await until(run, 'staged');
    const commit = call('POST', `/v1/runs/${run}/commit`).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 15));
    await killAndServeAgain();
    await commit;
  },
};

describe('a catalog that is killed', () => {
  test.each(Object.keys(DEATHS))('%s goes on when it is started again, and the point is whole', async (death) => {
    exporter.steps.length = 0;
    for (let segment = 0; segment < 40; segment++)
      exporter.disks.get(DISK)?.write(segment, Math.ceil(Math.random() * 1e6));
    const { run = '' } = await call('POST', '/v1/runs', { policy: 'shop' });
    await DEATHS[death]?.(run);
    if ((await call('GET', `/v1/runs/${run}`))['state'] !== 'committed') await until(run, 'staged');
    expect((await call('POST', `/v1/runs/${run}/commit`))['point']).toBe(run);
    const vault = await openTestVaults(filePlaces(join(folder, 'vaults'))).look('a', 'swift:main');
    const truth = exporter.disks.get(DISK)?.moments.get(run);
    expect((await restored(vault, run, DISK)).equals(truth ?? Buffer.alloc(0))).toBe(true);
    expect(vault.journal.state().openRuns.size).toBe(0);
    expect(exporter.outcomes.get(`${run} ${WEB}`)).toBe('committed');
  });

  test('leaves one point for each run', async () => {
    const { points } = (await call('GET', '/v1/vaults/main/points')) as unknown as { points: object[] };
    expect(points).toHaveLength(Object.keys(DEATHS).length);
  });

  test('in the middle of a restore begins that disk again when it is asked, and leaves no half image', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    glance.gate = { after: 500_000, open: promise };
    const { restore = '', point = '' } = await call('POST', '/v1/restores', {
      ...{ vault: 'main', point: 'latest', group: 'shop', server: WEB },
    });
    while (![...glance.images.values()].some(({ status }) => status === 'saving'))
      await new Promise((next) => setTimeout(next, 10));
    const [half = ''] = glance.images.keys();
    await killServing();
    resolve();
    glance.gate = undefined;
    await startServing();
    const look = () => call('GET', `/v1/restores/${restore}`);
    while ((await look())['state'] === 'copying') await new Promise((next) => setTimeout(next, 50));
    expect((await look())['state']).toBe('complete');
    expect(glance.images.size).toBe(1);
    expect(glance.images.has(half)).toBe(false);
    const vault = await openTestVaults(filePlaces(join(folder, 'vaults'))).look('a', 'swift:main');
    const [made] = glance.images.values();
    expect(guestView(made?.content ?? Buffer.alloc(0)).equals(await restored(vault, point, DISK))).toBe(true);
    expect(vault.journal.state().holds.size).toBe(0);
  });
});
