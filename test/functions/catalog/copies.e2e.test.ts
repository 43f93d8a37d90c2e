import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EkkoError } from '#vault/errors.ts';
import { readPoint } from '#vault/records.ts';
import { startRun } from '#vault/runs.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openRegistry } from '../../../functions/catalog/registry/registry.ts';
import { restored } from '../../restored.ts';
import { type Lab, openLab } from './lab.ts';
import type { StubExporter } from './stub-exporter.ts';

const WEB = '11111111-1111-4111-8111-111111111111';
const OTHER = '22222222-2222-4222-8222-222222222222';
const DISK = `${WEB}/root`;
let lab: Lab;
let exporter: StubExporter;

beforeEach(async () => {
  lab = await openLab();
  exporter = await lab.addHost('c1');
  lab.addServer(WEB, { name: 'web' });
  exporter.addDisk(DISK, 40);
  await lab.addPolicy('shop', { servers: [WEB] });
  await lab.call('PUT', '/v1/vaults/far', { body: { store: 'swift:far', escrow: 'waived' } });
});
afterEach(() => lab.close());

async function backUp(content: number, policy = 'shop'): Promise<string> {
  exporter.disks.get(DISK)?.write(1, content);
  const { body } = await lab.call('POST', '/v1/runs', { body: { policy } });
  await lab.call('POST', `/v1/runs/${body.run}/moment`);
  await lab.until(body.run, 'staged');
  await lab.call('POST', `/v1/runs/${body.run}/commit`);
  return body.run;
}

async function ended(path: string) {
  for (let tries = 0; tries < 1000; tries++) {
    const { body } = await lab.call('GET', path);
    if (body.state !== 'running') return body;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`${path} does not end.`);
}

async function copy(wish: object = { to: 'far' }) {
  const { status, body } = await lab.call('POST', '/v1/vaults/main/copies', { body: wish });
  if (status !== 202) throw new Error(JSON.stringify(body));
  return ended('/v1/vaults/main/copies/far');
}

const far = () => lab.vaults.look('a', 'swift:far');

describe('a copy', () => {
  test('brings the points of a vault to another one, sealed for its own key, and names their originals', async () => {
    const runs = [await backUp(7), await backUp(8)];
    expect(await copy()).toMatchObject({ state: 'done', vault: 'main', to: 'far', copied: 2, failed: [] });
    const vault = await far();
    const points = [...vault.journal.state().points.values()];
    expect(points.map(({ copyOf }) => copyOf?.run)).toEqual(runs);
    expect(vault.journal.state().openRuns.size).toBe(0);
    const source = await lab.vaults.look('a', 'swift:backups');
    for (const [at, run] of runs.entries()) {
      const copied = await restored(vault, points[at]?.run ?? '', DISK);
      expect(copied.equals(await restored(source, run, DISK))).toBe(true);
    }
    expect(vault.id).not.toBe(source.id);
    const bodies = [
      await readPoint(source, source.journal.state().points.get(runs[1] ?? '')?.point ?? ''),
      await readPoint(vault, points[1]?.point ?? ''),
    ];
    expect(bodies[0]?.topology?.servers.map(({ name }) => name)).toEqual(['web']);
    expect(bodies[1]?.topology).toEqual(bodies[0]?.topology);
    expect(source.journal.state().holds.size).toBe(0);
    expect((await readPoint(vault, points[1]?.point ?? '')).disks[0]?.base).toBe(points[0]?.run);
  });

  test('again reads what is new, and nothing where nothing is', async () => {
    for (const segment of [2, 3, 4]) exporter.disks.get(DISK)?.write(segment, 9);
    await backUp(1);
    expect((await copy()).bytesRead).toBe(4 * 65_536);
    await backUp(2);
    expect(await copy()).toMatchObject({ copied: 1, bytesRead: 65_536 });
    expect(await copy()).toMatchObject({ state: 'done', copied: 0, bytesRead: 0 });
    expect(lab.vaults.openNow()).toBe(0);
  });

  test('of one policy leaves the others’ points where they are', async () => {
    await lab.addPolicy('other', { servers: [WEB] });
    await backUp(1);
    await backUp(2, 'other');
    expect((await copy({ to: 'far', group: 'other' })).copied).toBe(1);
    expect([...(await far()).journal.state().points.values()].map(({ group }) => group)).toEqual(['other']);
  });

  test('takes turns with others, point by point', async () => {
    await lab.call('PUT', '/v1/vaults/other', { body: { store: 'swift:other', escrow: 'waived' } });
    for (const content of [1, 2, 3]) await backUp(content);
    const gate = Promise.withResolvers<void>();
    lab.vaults.gate = gate.promise;
    for (const to of ['far', 'other']) await lab.call('POST', '/v1/vaults/main/copies', { body: { to } });
    gate.resolve();
    for (const to of ['far', 'other'])
      expect(await ended(`/v1/vaults/main/copies/${to}`)).toMatchObject({ state: 'done', copied: 3 });
    const timesOf = async (store: string) =>
      [...(await lab.vaults.look('a', store)).journal.state().points.values()].map(({ at }) => at);
    const [first = '', last = ''] = [(await timesOf('swift:other')).at(0), (await timesOf('swift:far')).at(-1)];
    expect(first < last).toBe(true);
  });

  test.each([
    ['itself', 'alice', 'main', { to: 'main' }, 400, 'bad-input'],
    ['another name of itself', 'alice', 'main', { to: 'alias' }, 400, 'bad-input'],
    ['a vault that there is not', 'alice', 'main', { to: 'nowhere' }, 404, 'not-found'],
    ['a vault of another project', 'alice', 'main', { to: 'bobs' }, 404, 'not-found'],
    ['its own vault from another project', 'bob', 'main', { to: 'bobs' }, 404, 'not-found'],
    ['a place with a host in it', 'alice', 'main', { to: 'https://evil.example.org/' }, 400, 'bad-input'],
    ['another vault by a reader', 'reader', 'main', { to: 'far' }, 403, 'forbidden'],
  ])('to %s is refused', async (_, token, vault, wish, status, code) => {
    await lab.call('PUT', '/v1/vaults/alias', { body: { store: 'swift:backups', escrow: 'waived' } });
    await lab.call('PUT', '/v1/vaults/bobs', { token: 'bob', body: { store: 'swift:bobs', escrow: 'waived' } });
    const answer = await lab.call('POST', `/v1/vaults/${vault}/copies`, { token, body: wish });
    expect([answer.status, answer.body.code]).toEqual([status, code]);
  });

  test('to a vault whose key exists only once is refused by name', async () => {
    await backUp(1);
    await lab.call('PUT', '/v1/vaults/bare', { body: { store: 'swift:bare' } });
    await lab.call('POST', '/v1/vaults/main/copies', { body: { to: 'bare' } });
    expect(await ended('/v1/vaults/main/copies/bare')).toMatchObject({
      state: 'failed',
      problem: expect.stringMatching(/exists only once/),
    });
  });

  test('of a point that is damaged goes on with the others, says once which, and copies it when it is repaired', async () => {
    const [bad, good] = [await backUp(1), await backUp(2)];
    const { store, journal } = await lab.vaults.look('a', 'swift:backups');
    const manifest = journal.state().points.get(bad)?.disks[0]?.manifest ?? '';
    const keys = await keysWith(store, manifest);
    const kept = await Promise.all(keys.map((key) => store.get(key)));
    await store.remove(keys);
    const copies = async () => [...(await far()).journal.state().points.values()].map(({ copyOf }) => copyOf?.run);
    expect(await copy()).toMatchObject({ state: 'failed', copied: 1, failed: [{ point: bad }] });
    expect(await copies()).toEqual([good]);
    expect(await copy()).toMatchObject({ state: 'done', copied: 0, failed: [{ point: bad }] });
    for (const [at, key] of keys.entries()) await store.create(key, [kept[at] ?? Buffer.alloc(0)]);
    expect(await copy({ to: 'far', group: 'other' })).toMatchObject({ state: 'done', failed: [{ point: bad }] });
    expect(await copy()).toMatchObject({ state: 'done', copied: 1, failed: [] });
    expect(await copies()).toEqual([good, bad]);
  });

  test('that fails leaves no run open and nothing staged, and the next one does it', async () => {
    await backUp(1);
    lab.vaults.failure = new EkkoError('store-failed', 'Swift is on fire.');
    expect(await copy()).toMatchObject({ state: 'failed', problem: expect.stringMatching(/Swift is on fire/) });
    const vault = await far();
    expect([vault.journal.state().openRuns.size, await keysWith(vault.store, 'staging/')]).toEqual([0, []]);
    lab.vaults.failure = undefined;
    expect(await copy()).toMatchObject({ state: 'done', copied: 1 });
  });

  test('clears away what one has left whose process died, once it shows no life, and nothing of one that lives', async () => {
    await backUp(1);
    const vault = await far();
    const run = { group: 'shop', disks: [DISK], host: 'catalog' };
    await startRun(vault, { ...run, process: `copy ${WEB} of x` }, new Date());
    const living = await startRun(vault, { ...run, process: `copy ${OTHER} of y` }, new Date());
    const registry = openRegistry(lab.registry);
    const at = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
    const left = {
      id: WEB,
      state: 'running',
      startedAt: at(90),
      vault: 'main',
      to: 'far',
      copied: 0,
      bytesRead: 0,
      failed: [],
    };
    await registry.write(['copies', 'a', 'near far'], { ...left, id: OTHER, vault: 'near', seenAt: at(1) }, 0);
    await registry.write(['copies', 'a', 'main far'], { ...left, seenAt: at(1) }, 0);
    const refused = await lab.call('POST', '/v1/vaults/main/copies', { body: { to: 'far' } });
    expect([refused.status, refused.body.code]).toEqual([409, 'busy']);
    await registry.write(['copies', 'a', 'main far'], { ...left, seenAt: at(6) }, 1);
    const { body } = await lab.call('GET', '/v1/vaults/main/copies/far');
    expect(body).toMatchObject({ state: 'failed', problem: expect.stringMatching(/has died/) });
    expect(await copy()).toMatchObject({ state: 'done', copied: 1 });
    expect([...(await far()).journal.state().openRuns.keys()]).toEqual([living]);
  });
});

describe('a policy that wants copies', () => {
  test.each([
    ['nowhere', /no vault nowhere/],
    ['alias', /another name of the vault main/],
  ])('to %s is refused', async (vault, words) => {
    await lab.call('PUT', '/v1/vaults/alias', { body: { store: 'swift:backups', escrow: 'waived' } });
    const body = { vault: 'main', members: { servers: [WEB] }, copyTo: { vault } };
    const answer = await lab.call('PUT', '/v1/policies/x', { body });
    expect([answer.status, answer.body.detail]).toEqual([400, expect.stringMatching(words)]);
  });

  test('has its workflow told so, gets them by an upkeep, and its retention holds for them, too', async () => {
    const more = { copyTo: { vault: 'far' }, retention: { last: 2 }, hooks: [{ when: 'before', url: 'http://h' }] };
    await lab.addPolicy('shop', { servers: [WEB] }, more);
    const started = await lab.call('POST', '/v1/runs', { body: { policy: 'shop' } });
    expect(started.body).toMatchObject({ copyTo: 'far', hooks: ['before'] });
    await lab.call('DELETE', `/v1/runs/${started.body.run}`);
    await backUp(1);
    await lab.call('POST', '/v1/vaults/main/upkeep', { body: { copy: true } });
    const done = await ended('/v1/vaults/main/upkeep');
    expect(done).toMatchObject({ state: 'done', report: { copies: [{ policy: 'shop', to: 'far', copied: 1 }] } });
    await lab.call('POST', '/v1/vaults/far/upkeep', { body: { retention: true } });
    await ended('/v1/vaults/far/upkeep');
    expect((await far()).journal.state().retention.get('shop')?.policy).toMatchObject({ last: 2 });
  });
});

describe('an upkeep', () => {
  async function upkeep(wish: object) {
    await lab.call('POST', '/v1/vaults/main/upkeep', { body: wish });
    return ended('/v1/vaults/main/upkeep');
  }

  test('lets nothing expire and sweeps nothing away while a copy fails, and says so', async () => {
    await lab.call('PUT', '/v1/vaults/bare', { body: { store: 'swift:bare' } });
    await lab.addPolicy('shop', { servers: [WEB] }, { copyTo: { vault: 'bare' }, retention: { last: 1 } });
    await backUp(1);
    const failed = await upkeep({ copy: true, retention: true, sweep: true, verify: 1 });
    expect(failed).toMatchObject({
      state: 'failed',
      problem: expect.stringMatching(/exists only once.*Left out until copies are made: retention, sweep\./),
      report: { leftOut: ['retention', 'sweep'], verify: {} },
    });
    expect(Object.keys(failed.report)).toEqual(['copies', 'leftOut', 'verify']);
    expect((await lab.vaults.look('a', 'swift:backups')).journal.state().retention.has('shop')).toBe(false);
    const { journal } = await lab.vaults.look('a', 'swift:bare');
    await journal.append(() => ({ type: 'escrow-waived', at: new Date().toISOString() }));
    const done = await upkeep({ copy: true, retention: true, sweep: true });
    expect([done.state, Object.keys(done.report)]).toEqual(['done', ['copies', 'retention', 'sweep']]);
  });

  test('waits for a copy to the same vault that another process makes, and then makes its own', async () => {
    await lab.addPolicy('shop', { servers: [WEB] }, { copyTo: { vault: 'far' } });
    await backUp(1);
    const registry = openRegistry(lab.registry);
    const at = new Date().toISOString();
    const others = { vault: 'main', to: 'far', group: 'other', copied: 0, bytesRead: 0, failed: [], id: WEB };
    await registry.write(['copies', 'a', 'main far'], { ...others, state: 'running', startedAt: at }, 0);
    await lab.call('POST', '/v1/vaults/main/upkeep', { body: { copy: true } });
    // It has been asked for by then, and been refused.
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect((await lab.call('GET', '/v1/vaults/main/upkeep')).body.state).toBe('running');
    await registry.write(['copies', 'a', 'main far'], { ...others, state: 'done', startedAt: at }, 1);
    expect(await ended('/v1/vaults/main/upkeep')).toMatchObject({
      ...{ state: 'done', report: { copies: [{ policy: 'shop', to: 'far', copied: 1 }] } },
    });
  });

  test('whose process has died is told as failed, and can be started again', async () => {
    const at = new Date(Date.now() - 6 * 60_000).toISOString();
    await openRegistry(lab.registry).write(['upkeeps', 'a', 'main'], { id: WEB, state: 'running', startedAt: at }, 0);
    expect((await lab.call('GET', '/v1/vaults/main/upkeep')).body).toMatchObject({
      ...{ upkeep: WEB, state: 'failed', problem: expect.stringMatching(/Start it again/) },
    });
    expect((await lab.call('POST', '/v1/vaults/main/upkeep', { body: { sweep: true } })).status).toBe(202);
    expect(await ended('/v1/vaults/main/upkeep')).toMatchObject({ state: 'done' });
  });
});

async function keysWith(store: ObjectStore, text: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('')) if (key.includes(text)) keys.push(key);
  return keys;
}
