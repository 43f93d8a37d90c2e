import { afterEach, beforeEach, expect, test } from 'vitest';
import { readPoint } from '#vault/records.ts';
import { topologyKey } from '#vault/store/object-names.ts';
import { comparePoints, describeComparison } from '../../../functions/command-line/points/compare-points.ts';
import { findPoint } from '../../../functions/command-line/points/find-point.ts';
import { describePoint } from '../../../functions/command-line/points/show-point.ts';
import { copyPoint } from '../../model/copy-point.ts';
import { type Lab, openLab } from './lab.ts';
import { answerOf, DATA, SECRET, saidCloud, WEB } from './topology/said-cloud.ts';

let lab: Lab;

beforeEach(async () => {
  lab = await openLab();
  const c1 = await lab.addHost('c1');
  lab.addServer(WEB, { name: 'web-1', host: 'c1', volumes: [DATA] });
  c1.addDisk(`${WEB}/root`, 8).write(1, 11);
  const cloud = saidCloud();
  // The lab's own Nova and Heat tell who the members are.
  lab.cloud.more = (request) => {
    const { status, ...answer } = answerOf(cloud, { ...request, path: request.path.replace('/cinder/a/', '/cinder/') });
    return status === 404 ? undefined : { status, ...answer };
  };
  lab.cloud.stacks.set('shop', { project: 'a', servers: [WEB] });
  await lab.addPolicy('shop', { stack: 'shop' });
});
afterEach(() => lab.close());

async function start(): Promise<string> {
  const { status, body } = await lab.call('POST', '/v1/runs', { body: { policy: 'shop' } });
  if (status !== 201) throw new Error(`${status} ${JSON.stringify(body)}`);
  return body.run;
}

async function finish(run: string): Promise<void> {
  await lab.call('POST', `/v1/runs/${run}/moment`);
  await lab.until(run, 'staged');
  const { status, body } = await lab.call('POST', `/v1/runs/${run}/commit`);
  if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`);
}

async function everythingIn(store: Lab['registry']): Promise<string> {
  const texts: string[] = [];
  for await (const { key } of store.list('')) texts.push(key, (await store.get(key)).toString('latin1'));
  return texts.join('\n');
}

const topologyOf = (run: string, token = 'alice') =>
  lab.call('GET', `/v1/vaults/main/points/${run}/topology`, { token });

test('a point has the topology of its group, which says what of it is not protected', async () => {
  const run = await start();
  await finish(run);
  const { status, body } = await topologyOf(run, 'reader');
  expect(status).toBe(200);
  expect(body).toMatchObject({
    servers: [{ name: 'web-1', flavor: { name: 'm1.small' }, disks: [{ name: `${WEB}/root`, wanted: true }, {}] }],
    ports: [{ server: WEB }],
    routers: [{ name: 'edge' }],
    volumes: [{ id: DATA }],
    stack: { name: 'shop' },
    unprotected: [{ server: WEB, name: 'web-1', volume: DATA }],
    omitted: [{ part: 'images.image-1' }, { part: 'servers.userData' }],
  });
  expect((await topologyOf(run, 'bob')).status).toBe(404);
  expect((await topologyOf(run, 'nobody')).status).toBe(403);
});

test('it survives the death of the catalog between start and commit, sealed, and in the vault alone', async () => {
  const run = await start();
  const vault = await lab.vaults.look('a', 'swift:backups');
  const kept = await vault.store.get(topologyKey(run));
  expect(kept.toString('latin1', 0, 8)).toBe('EKKOREC1');
  for (const text of [kept.toString('latin1'), await everythingIn(lab.registry)])
    for (const word of ['m1.small', 'heat_template_version', SECRET]) expect(text).not.toContain(word);
  lab.cloud.more = () => ({ status: 503, body: { message: 'down' } });
  await lab.restart();
  await finish(run);
  expect((await topologyOf(run)).body.servers).toHaveLength(1);
  await expect(vault.store.get(topologyKey(run))).rejects.toMatchObject({ code: 'object-missing' });
});

test('a cloud that tells nothing keeps no run from its point', async () => {
  lab.cloud.more = ({ path }) =>
    /neutron|glance|flavors|os-|volumes|template|files/.test(path)
      ? { status: 503, body: { message: 'down' } }
      : undefined;
  const run = await start();
  await finish(run);
  const { body } = await topologyOf(run);
  expect(body.omitted.map(({ part }: { part: string }) => part)).toEqual(
    expect.arrayContaining(['keyPairs', 'networks', 'ports', 'stack.files', 'stack.template', 'volumes']),
  );
});

test.each([
  ['is gone', () => undefined],
  ['was overwritten by somebody without the key', () => Buffer.from('nonsense')],
])('what was kept of it and %s by the commit is named as lacking', async (_, other) => {
  const run = await start();
  const { store } = await lab.vaults.look('a', 'swift:backups');
  await store.remove([topologyKey(run)]);
  const bytes = other();
  if (bytes !== undefined) await store.create(topologyKey(run), [bytes]);
  await finish(run);
  expect((await topologyOf(run)).body).toMatchObject({ servers: [], omitted: [{ part: 'topology' }] });
});

test('a run that is abandoned leaves nothing of it', async () => {
  const run = await start();
  await lab.call('DELETE', `/v1/runs/${run}`);
  const { store } = await lab.vaults.look('a', 'swift:backups');
  await expect(store.get(topologyKey(run))).rejects.toMatchObject({ code: 'object-missing' });
});

test('no answer but the one that is asked for it shows it', async () => {
  const run = await start();
  await lab.call('POST', `/v1/runs/${run}/moment`);
  const answers = [(await lab.until(run, 'staged')).body];
  answers.push((await lab.call('POST', `/v1/runs/${run}/commit`)).body);
  for (const path of [`/v1/runs/${run}`, '/v1/vaults/main/points', `/v1/vaults/main/points/${run}`])
    answers.push((await lab.call('GET', path)).body);
  expect(JSON.stringify(answers)).not.toMatch(/heat_template|public_key|ssh-ed25519/);
  const vault = await lab.vaults.look('a', 'swift:backups');
  const point = vault.journal.state().points.get(run)?.point ?? '';
  expect((await readPoint(vault, point)).topology?.keyPairs).toHaveLength(1);
});

test('a point tells what changed since the one before, over the API and on the command line', async () => {
  const first = await start();
  await finish(first);
  expect((await lab.call('GET', `/v1/vaults/main/points/${first}`)).body).not.toHaveProperty('changes');
  const cloud = saidCloud();
  const { volume } = cloud[`cinder /volumes/${DATA}`] as { volume: object };
  cloud[`cinder /volumes/${DATA}`] = { volume: { ...volume, size: 20 } };
  lab.cloud.more = (request) => {
    const { status, ...answer } = answerOf(cloud, { ...request, path: request.path.replace('/cinder/a/', '/cinder/') });
    return status === 404 ? undefined : { status, ...answer };
  };
  const second = await start();
  await finish(second);

  const { body } = await lab.call('GET', `/v1/vaults/main/points/${second}`);
  expect(body).toMatchObject({
    before: first,
    changes: [{ kind: 'volume', name: 'data', change: 'changed', text: 'volume data grew from 10 to 20 GiB' }],
    unprotected: [{ server: WEB, volume: DATA }],
  });
  const vault = await lab.vaults.look('a', 'swift:backups');
  const compared = await comparePoints(vault, 'latest', undefined);
  expect(describeComparison(compared)).toEqual([`From ${first} to ${second}:`, '  volume data grew from 10 to 20 GiB']);
  expect((await comparePoints(vault, first, second)).changes[0]?.text).toBe('volume data shrank from 20 to 10 GiB');
  await expect(comparePoints(vault, first, undefined)).rejects.toThrow('has none before it of its group shop');
  const shown = describePoint(await findPoint(vault, 'latest'), { holds: [], deleted: undefined }, new Date()).join(
    '\n',
  );
  expect(shown).toMatch(/servers +1 server: web-1 \(m1.small\)/);
  expect(shown).toMatch(/volumes +1 volume: data \(20 GiB, fast\)/);
  expect(shown).toMatch(/NOT PROTECTED: Volume 33333333/);
  expect(shown).toMatch(/lacks servers.userData: /);
});

test('copies of a point, over the API and on the command line, have its topology', async () => {
  const run = await start();
  await finish(run);
  const source = await lab.vaults.look('a', 'swift:backups');
  const { topology } = await readPoint(source, source.journal.state().points.get(run)?.point ?? '');
  expect(topology?.servers).toHaveLength(1);
  for (const name of ['far', 'near'])
    await lab.call('PUT', `/v1/vaults/${name}`, { body: { store: `swift:${name}`, escrow: 'waived' } });
  await lab.call('POST', '/v1/vaults/main/copies', { body: { to: 'far' } });
  for (let tries = 0; tries < 1000; tries++) {
    if ((await lab.call('GET', '/v1/vaults/main/copies/far')).body.state !== 'running') break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await copyPoint(source, await lab.vaults.look('a', 'swift:near'), run);
  for (const name of ['far', 'near']) {
    const vault = await lab.vaults.look('a', `swift:${name}`);
    const [copy] = vault.journal.state().points.values();
    expect((await readPoint(vault, copy?.point ?? '')).topology).toEqual(topology);
  }
});
