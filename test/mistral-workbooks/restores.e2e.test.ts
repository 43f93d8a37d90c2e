import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { install } from '../../functions/command-line/install/install.ts';
import { readWorkbooks } from '../../functions/command-line/install/workbooks.ts';
import { type Executions, executionsOf } from '../cloud/executions.ts';
import { addUser, logIn } from '../cloud/keystone.ts';
import { openTestCloud } from '../cloud/open-test-cloud.ts';
import { useCloud } from '../cloud/openstack.ts';
import { type StubRestores, startStubRestores } from '../cloud/stub-restores.ts';
import { lacks } from '../setup/cache.ts';

const START_LIMIT_MS = 400_000;
const LIMIT_MS = 240_000;
const SERVER = 'ekko.restore.v1.server';
const DISK = 'ekko.restore.v1.disk';

let token: string;
let stub: StubRestores;
let executions: Executions;
/** Executions that are told nonsense, by what they are told. */
const nonsensical = new Map<string, string>();

/** What a catalog, Nova or Cinder that is none answers. */
const answers: readonly [name: string, type: string, body: string, status: number][] = [
  ['a page of HTML', 'text/html', '<html>', 200],
  ['a list', 'application/json', '[1, 2]', 200],
  [
    'fields of other kinds',
    'application/json',
    '{"restore": 7, "state": 7, "disks": "no", "endpoints": [1], "volumes": {"a": 1}, "servers": 3, "volume": [1], "server": "x"}',
    200,
  ],
  [
    'lists of other kinds',
    'application/json',
    '{"volumes": [1, {"metadata": 7}, {"metadata": {"ekko_restore": [1]}}], "servers": [1, {"tags": 7}, {"tags": [7, null]}]}',
    200,
  ],
  ['disks that are none', 'application/json', '{"restore": "r", "state": "complete", "disks": [1, null, {}]}', 200],
  ['expressions', 'application/problem+json', '{"code": "x", "detail": "<% $.openstack.auth_token %>"}', 400],
  ['errors of other kinds', 'application/json', '{"badRequest": 7, "other": {"message": [1]}}', 400],
];
const sources: readonly [name: string, matches: RegExp][] = [
  ['the catalog', / \/v1/],
  ['Nova and Cinder', /(GET|POST) \/(cinder|nova)/],
];
const cases = answers.flatMap(([what, type, body, status]) =>
  sources.map(([from, matches]) => ({ name: `${what} of ${from}`, nonsense: { matches, type, body, status } })),
);

/** What was asked of Nova is told by its one server. */
const onlyServer = () => [...stub.servers.values()][0]?.asked ?? {};

describe.skipIf(lacks('control-plane', 'swift'))('restores on a real Mistral', () => {
  beforeAll(async () => {
    const cloud = await useCloud();
    const name = `restores-${randomBytes(4).toString('hex')}`;
    const tenant = await addUser(cloud.keystone, { user: name, project: name, role: 'member' });
    token = (await logIn(cloud.keystone, tenant)).token;
    stub = await startStubRestores();
    executions = executionsOf(cloud.mistral.url, token);
    await install(await openTestCloud(cloud.keystone, tenant), await readWorkbooks({ catalog: stub.url }), 'private');
    // Each asks for minutes, and makes nothing: all of them do it beside the other tests.
    for (const { name, nonsense } of cases) {
      stub.nonsense.set(name, nonsense);
      nonsensical.set(name, await executions.start(SERVER, { vault: 'v', point: name, server: 's', longest: 0 }));
    }
  }, START_LIMIT_MS);

  afterAll(() => stub?.close());

  beforeEach(() => {
    stub.servers.clear();
    stub.volumes.clear();
    const none = { refuse: false, slow: false, failing: false, badVolumes: false, badServers: false, busyVolumes: 0 };
    Object.assign(stub.faults, none, { unfiltered: false });
  });

  /** Nothing is left, and whoever looks is told why. */
  async function failed(input: object) {
    const { state, result } = await executions.run(SERVER, { vault: 'v', point: 'p', server: 's', ...input });
    expect([state, result['outcome'], stub.servers.size, stub.volumes.size]).toEqual(['ERROR', 'failed', 0, 0]);
    return result as { readonly detail: string; readonly left: string[]; readonly restore: string };
  }

  test('a server comes back from volumes, and the images that were made for them go', {
    timeout: LIMIT_MS,
  }, async () => {
    const wish = { vault: 'v', point: 'latest', group: 'g', server: 's', name: 'again', networks: 'none' };
    const { state, result, id } = await executions.run(SERVER, wish);
    const [server] = stub.servers.keys();
    const volumes = [...stub.volumes.values()];
    const idOf = (disk: string) => volumes.find(({ asked }) => asked.metadata?.['ekko_disk'] === disk)?.id;
    // In the order of the disks, whichever was made first.
    expect([state, result, volumes.length]).toEqual([
      'SUCCESS',
      { outcome: 'restored', restore: id, server, volumes: [idOf('s/root'), idOf('s/data')] },
      2,
    ]);
    expect(stub.restores.get(id)).toMatchObject({
      images: 'volumes',
      wish: {
        ...{ id, vault: 'v', point: 'latest', group: 'g', server: 's' },
        build: { root: 'volume', addresses: 'new', name: 'again', networks: 'none' },
      },
    });
    expect(stub.restores.get(id)?.wish['build']).not.toHaveProperty('flavor');
    expect(onlyServer()).toMatchObject({
      name: 'again',
      block_device_mapping_v2: [
        { boot_index: 0, source_type: 'volume', uuid: idOf('s/root') },
        { boot_index: -1, source_type: 'volume', uuid: idOf('s/data') },
      ],
    });
  });

  test('or from the image of its local disk, with the others as volumes', { timeout: LIMIT_MS }, async () => {
    const { result } = await executions.run(SERVER, { vault: 'v', point: 'p', server: 's', root: 'image' });
    expect(result).toMatchObject({ outcome: 'restored' });
    expect(onlyServer()['block_device_mapping_v2']).toEqual([
      { boot_index: 0, source_type: 'image', uuid: 'image-0' },
      { boot_index: -1, source_type: 'volume', uuid: [...stub.volumes.keys()][0] },
    ]);
  });

  test('a disk comes back as a volume, as it is wished', { timeout: LIMIT_MS }, async () => {
    const { state, result, id } = await executions.run(DISK, {
      ...{ vault: 'v', point: 'p', disk: 's/data', name: 'old data', volume_type: 'fast' },
    });
    const [volume] = stub.volumes.values();
    expect([state, result]).toEqual(['SUCCESS', { outcome: 'restored', restore: id, volume: volume?.id }]);
    expect(volume?.asked).toMatchObject({ name: 'old data', volume_type: 'fast', size: 1, imageRef: 'image-0' });
    expect(stub.restores.get(id)).toMatchObject({ images: 'all', wish: { disks: ['s/data'] } });
  });

  test('answers that are lost make nothing twice', { timeout: LIMIT_MS }, async () => {
    stub.faults.lost.set('nova', 1).set('cinder', 2);
    const { result } = await executions.run(SERVER, { vault: 'v', point: 'p', server: 's' });
    expect([result['outcome'], stub.servers.size, stub.volumes.size]).toEqual(['restored', 1, 2]);
  });

  test('what the point does not tell is asked for, and nothing is begun', { timeout: LIMIT_MS }, async () => {
    stub.faults.refuse = true;
    expect(await failed({})).toMatchObject({ detail: 'Give: flavor, networks.', left: [], restore: '' });
  });

  test('a disk that cannot be restored is named, and what was made goes', { timeout: LIMIT_MS }, async () => {
    stub.faults.failing = true;
    const { detail, restore, left } = await failed({});
    expect([detail, left]).toEqual([expect.stringMatching(/^s\/root: packs\/ab is damaged/), []]);
    expect(stub.restores.get(restore)?.images).toBe('all');
  });

  test('a volume that Cinder cannot make ends the restore, and the others go', { timeout: LIMIT_MS }, async () => {
    stub.faults.badVolumes = true;
    stub.faults.busyVolumes = 1;
    expect((await failed({})).detail).toMatch(/Cinder could not make volume .* error/);
  });

  test('a server that Nova cannot boot goes, with its volumes', { timeout: LIMIT_MS }, async () => {
    stub.faults.badServers = true;
    expect((await failed({})).detail).toBe('Nova: No valid host was found.');
  });

  describe('where Nova and Cinder answer all that there is, whatever they are asked for,', () => {
    const others = ['of-an-older-restore', 'of-somebody'];

    beforeEach(() => {
      stub.faults.unfiltered = true;
      const [older = '', somebody = ''] = others;
      const metadata = { ekko_restore: older, ekko_disk: 's/root' };
      stub.volumes.set(older, { id: older, status: 'available', asked: { metadata } });
      stub.volumes.set(somebody, { id: somebody, status: 'available', asked: { metadata: {} } });
      stub.servers.set(older, { id: older, status: 'ACTIVE', asked: { tags: [`ekko-restore-${older}`] } });
      stub.servers.set(somebody, { id: somebody, status: 'ACTIVE', asked: { tags: [] } });
    });

    test('a restore takes nothing of others, and finds its own', { timeout: LIMIT_MS }, async () => {
      stub.faults.lost.set('nova', 1).set('cinder', 2);
      const { result } = await executions.run(SERVER, { vault: 'v', point: 'p', server: 's' });
      const made = (all: ReadonlyMap<string, object>) => new Set([...all.keys()].slice(others.length));
      expect([result['outcome'], stub.servers.size, stub.volumes.size]).toEqual(['restored', 3, 4]);
      const found = [new Set([result['server']]), new Set(result['volumes'] as string[])];
      expect(found).toEqual([made(stub.servers), made(stub.volumes)]);
    });

    test('one that fails removes its own, and nothing of others', { timeout: LIMIT_MS }, async () => {
      stub.faults.badServers = true;
      const { result } = await executions.run(SERVER, { vault: 'v', point: 'p', server: 's' });
      expect(result['outcome']).toBe('failed');
      expect([[...stub.servers.keys()], [...stub.volumes.keys()]]).toEqual([others, others]);
    });
  });

  test('cleaned up while it goes on, it ends, and leaves nothing', { timeout: LIMIT_MS }, async () => {
    stub.faults.slow = true;
    const id = await executions.start(SERVER, { vault: 'v', point: 'p', server: 's' });
    while (!stub.restores.has(id)) await pause(100);
    const cleaned = await executions.run('ekko.build.v1.clean_up', { restore: id });
    expect(cleaned.result).toEqual({ restore: id, left: [] });
    const { state, result } = await executions.ended(id);
    expect([state, result['detail']]).toEqual(['ERROR', 'Somebody has cancelled the restore.']);
  });

  describe('breaks no expression, for then Mistral would show the token:', () => {
    test.each(cases)('$name', { timeout: 2 * LIMIT_MS }, async ({ name }) => {
      const id = nonsensical.get(name) ?? expect.fail();
      await executions.ended(id);
      expect(stub.toldNonsense).toContain(name);
      const lines = (await executions.allOf(id)).split('\n');
      for (const line of lines) expect(line).not.toMatch(/YAQL|Can not evaluate/);
    });
  });

  test('no token is in any field of any execution, task or action that Mistral shows', {
    timeout: LIMIT_MS,
  }, async () => {
    const everything = await executions.everything();
    expect(everything).toContain('ekko.build.v1.volume');
    const tokens = new Set(stub.requests.map((request) => request.token).filter((each) => each !== ''));
    expect(tokens.size).toBeGreaterThan(0);
    for (const each of tokens) expect(everything.includes(each)).toBe(false);
  });
});
