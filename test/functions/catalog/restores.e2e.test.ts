import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EkkoError } from '#vault/errors.ts';
import { Folder } from '#vault/store/object-names.ts';
import { holdPoint } from '../../../functions/catalog/restores/read-hold.ts';
import { restored } from '../../restored.ts';
import { guestView } from '../restorer/guest-view.ts';
import { type Lab, type LabAnswer, openLab } from './lab.ts';
import type { StubExporter } from './stub-exporter.ts';

const WEB = '11111111-1111-4111-8111-111111111111';
const DB = '22222222-2222-4222-8222-222222222222';
const VOLUME = '99999999-2222-4333-8444-555555555555';
const ROOT = `${WEB}/root`;
const DATA = `${WEB}/${VOLUME}`;
const SEGMENT = 65_536;

let lab: Lab;
let exporter: StubExporter;
let point: string;

beforeEach(async () => {
  lab = await openLab();
  exporter = await lab.addHost('c1');
  lab.addServer(WEB, { name: 'web', volumes: [VOLUME] });
  lab.addServer(DB, { name: 'db' });
  for (const name of [ROOT, DATA, `${DB}/root`]) exporter.addDisk(name, 40);
  for (let segment = 0; segment < 30; segment++) {
    exporter.disks.get(ROOT)?.write(segment, segment + 1);
    exporter.disks.get(DATA)?.write(segment + 5, segment + 100);
  }
  await lab.addPolicy('shop', { servers: [WEB, DB] });
  point = await backUp();
});
afterEach(() => lab.close());

async function backUp(): Promise<string> {
  const { body } = await lab.call('POST', '/v1/runs', { body: { policy: 'shop' } });
  await lab.call('POST', `/v1/runs/${body.run}/moment`);
  await lab.until(body.run, 'staged');
  await lab.call('POST', `/v1/runs/${body.run}/commit`);
  return body.run;
}

const start = (wish: object, token = 'alice') =>
  lab.call('POST', '/v1/restores', { token, body: { vault: 'main', point, ...wish } });
const look = (id: string, token = 'alice') => lab.call('GET', `/v1/restores/${id}`, { token });

async function until(id: string, is: (body: LabAnswer['body']) => boolean, token?: string): Promise<LabAnswer['body']> {
  for (let tries = 0; tries < 1000; tries++) {
    const { body } = await look(id, token);
    if (is(body)) return body;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`It does not come to that: ${JSON.stringify((await look(id)).body)}`);
}
const ended = (id: string, token?: string) => until(id, ({ state }) => state !== 'copying', token);

const openVault = () => lab.vaults.look('a', 'swift:backups');

/** A gate for contents beyond some bytes. */
function closeGate(after: number): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  lab.glance.gate = { after, open: promise };
  return () => {
    lab.glance.gate = undefined;
    resolve();
  };
}

describe('a restore', () => {
  test('makes an image of each disk of a server, with what it held and whose it was', async () => {
    const { status, body } = await start({ server: WEB });
    expect([status, body.state, body.disks.map(({ name }: { name: string }) => name)]).toEqual([
      202,
      'copying',
      [ROOT, DATA],
    ]);
    const done = await ended(body.restore);
    expect(done).toMatchObject({ state: 'complete', point, server: WEB, bytesDone: done.bytesTotal });
    const vault = await openVault();
    for (const { name, image, size, bytesTotal, gib, volume } of done.disks) {
      const made = lab.glance.images.get(image);
      expect(made?.content.length).toBe(bytesTotal);
      expect(guestView(made?.content ?? Buffer.alloc(0)).equals(await restored(vault, point, name))).toBe(true);
      expect([size, gib, volume]).toEqual([40 * SEGMENT, 1, expect.objectContaining({ size: 1, imageRef: image })]);
      expect(made?.fields).toMatchObject({
        ...{ disk_format: 'qcow2', container_format: 'bare', visibility: 'private', min_disk: 1, os_hidden: false },
        ...{ ekko_point: point, ekko_disk: name, ekko_state: 'finished' },
      });
    }
    expect(lab.vaults.openNow()).toBe(0);
  });

  test('holds its point while it goes on, and lets it go', async () => {
    const open = closeGate(100_000);
    const { body } = await start({ server: WEB });
    const { holds } = (await openVault()).journal.state();
    expect([...holds.values()]).toEqual([
      expect.objectContaining({ kind: 'read', points: [point], hold: `read-restore-${body.restore}` }),
    ]);
    open();
    await ended(body.restore);
    expect((await openVault()).journal.state().holds.size).toBe(0);
  });

  test('of a repeat that finds a newer point holds that one, whatever was held before', async () => {
    const id = randomUUID();
    await holdPoint(await openVault(), id, point, new Date());
    const newest = await backUp();
    const open = closeGate(100_000);
    await start({ id, point: 'latest', group: 'shop', disks: [ROOT] });
    const holds = [...(await openVault()).journal.state().holds.values()];
    expect(holds.map(({ points }) => points)).toEqual([[newest]]);
    open();
    await ended(id);
    expect((await openVault()).journal.state().holds.size).toBe(0);
  });

  test('that cannot be written down holds nothing', async () => {
    const { create } = lab.registry;
    lab.registry.create = async (key, ...rest) => {
      if (key.startsWith('restores/')) throw new EkkoError('store-failed', 'The registry is away.');
      return create(key, ...rest);
    };
    expect((await start({ server: WEB })).status).toBe(502);
    expect((await openVault()).journal.state().holds.size).toBe(0);
    expect([lab.glance.images.size, lab.vaults.openNow()]).toEqual([0, 0]);
  });

  test('that was written down though nobody heard of it is held again by who goes on with it', async () => {
    const id = randomUUID();
    const { create } = lab.registry;
    lab.registry.create = async (key, ...rest) => {
      const answer = await create(key, ...rest);
      if (!key.startsWith('restores/')) return answer;
      lab.registry.create = create;
      throw new EkkoError('store-failed', 'The answer was lost.');
    };
    const open = closeGate(100_000);
    expect((await start({ id, server: WEB, disks: ['root'] })).status).toBe(502);
    await start({ id, server: WEB, disks: ['root'] });
    await until(id, ({ bytesDone }) => bytesDone > 0);
    expect((await openVault()).journal.state().holds.size).toBe(1);
    open();
    expect((await ended(id)).state).toBe('complete');
    expect((await openVault()).journal.state().holds.size).toBe(0);
  });

  test('shows how far it is, and hides an image that is not whole', async () => {
    const open = closeGate(700_000);
    const { body } = await start({ server: WEB, disks: ['root'] });
    const under = await until(body.restore, ({ bytesDone }) => bytesDone > 0);
    expect([under.state, under.disks[0].state, under.bytesTotal]).toEqual(['copying', 'copying', 35 * SEGMENT]);
    expect([...lab.glance.images.values()].map(({ fields }) => [fields['os_hidden'], fields['ekko_state']])).toEqual([
      [true, 'unfinished'],
    ]);
    open();
    expect((await ended(body.restore)).state).toBe('complete');
  });

  test('of the latest point of a policy, of one disk, is as good', async () => {
    exporter.disks.get(ROOT)?.write(3, 777);
    const newest = await backUp();
    const { body } = await start({ point: 'latest', group: 'shop', disks: [ROOT] });
    expect([body.point, body.disks.length]).toEqual([newest, 1]);
    const done = await ended(body.restore);
    const content = lab.glance.images.get(done.disks[0].image)?.content ?? Buffer.alloc(0);
    expect(guestView(content).equals(await restored(await openVault(), newest, ROOT))).toBe(true);
  });

  test('is the same one for the same id, however often and from however many it is asked for', async () => {
    const id = randomUUID();
    const all = await Promise.all([start({ id, server: WEB }), start({ id, server: WEB }), start({ id, server: WEB })]);
    expect(all.map(({ body }) => body.restore)).toEqual([id, id, id]);
    await ended(id);
    expect((await start({ id, server: WEB })).body.state).toBe('complete');
    expect(lab.glance.images.size).toBe(2);
  });

  test('is left to the process that works on it, and shown by all others', async () => {
    const open = closeGate(500_000);
    const { body } = await start({ server: WEB, disks: ['root'] });
    await until(body.restore, ({ bytesDone }) => bytesDone > 0);
    // The process before goes on, unseen but for its signs of life.
    await lab.restart();
    for (const until = Date.now() + 3000; Date.now() < until; )
      expect((await look(body.restore)).body.state).toBe('copying');
    expect(lab.glance.requests.filter((each) => each.endsWith('/file'))).toHaveLength(1);
    open();
    const done = await ended(body.restore);
    expect([done.state, [...lab.glance.images.keys()]]).toEqual(['complete', [done.disks[0].image]]);
  });

  test('is listed, in its own project alone', async () => {
    const { body } = await start({ server: WEB });
    await ended(body.restore);
    expect((await lab.call('GET', '/v1/restores')).body.restores).toEqual([
      expect.objectContaining({ restore: body.restore, state: 'complete', disks: 2 }),
    ]);
    for (const token of ['bob', 'admin']) {
      expect((await lab.call('GET', '/v1/restores', { token })).body.restores).toEqual([]);
      expect((await look(body.restore, token)).status).toBe(404);
      expect((await lab.call('DELETE', `/v1/restores/${body.restore}`, { token })).status).toBe(404);
      expect((await start({ server: WEB }, token)).status).toBe(404);
    }
    expect((await start({ server: WEB }, 'reader')).status).toBe(403);
    expect((await look(body.restore, 'reader')).status).toBe(200);
    expect(lab.glance.images.size).toBe(2);
  });

  test.each([
    ['a point that is not there', { point: '20200101-000000-000000' }, 404, 'point-unknown'],
    ['the latest of no policy', { point: 'latest' }, 400, 'bad-input'],
    ['the latest of a policy without points', { point: 'latest', group: 'none' }, 404, 'point-unknown'],
    ['a server that it does not hold', { server: randomUUID() }, 404, 'not-found'],
    ['a disk that it does not hold', { server: WEB, disks: ['vdz'] }, 404, 'not-found'],
    ['a disk of another server', { server: WEB, disks: [`${DB}/root`] }, 404, 'not-found'],
    ['a vault that is not there', { vault: 'none' }, 404, 'not-found'],
    ['another target', { target: 'volume' }, 400, 'bad-input'],
    ['a property that decides who may read it', { properties: { visibility: 'public' } }, 400, 'bad-input'],
    ['a property of Glance’s own', { properties: { os_hash_value: 'x' } }, 400, 'bad-input'],
    ['an id that is none', { id: 'x' }, 400, 'bad-input'],
  ])('of %s is refused in words, and leaves nothing behind', async (_, wish, status, code) => {
    const answer = await start(wish);
    expect([answer.status, answer.body.code]).toEqual([status, code]);
    expect(answer.body.detail.length).toBeGreaterThan(20);
    expect((await openVault()).journal.state().holds.size).toBe(0);
    expect([lab.glance.images.size, lab.vaults.openNow()]).toEqual([0, 0]);
  });
});

describe('a restore that goes wrong', () => {
  const failed = async (wish: object) => {
    const { body } = await start(wish);
    const done = await ended(body.restore);
    expect([done.state, (await openVault()).journal.state().holds.size, lab.vaults.openNow()]).toEqual([
      'failed',
      0,
      0,
    ]);
    return done;
  };

  test('because the quota is exceeded says so, and leaves no image', async () => {
    lab.glance.faults.quota = 1_000_000;
    const { disks } = await failed({ server: WEB });
    for (const disk of disks)
      expect([disk.state, disk.problem]).toEqual(['failed', expect.stringMatching(/413.*quota/)]);
    expect(lab.glance.images.size).toBe(0);
  });

  test('because the image was deleted in the middle says so', async () => {
    const open = closeGate(500_000);
    const { body } = await start({ server: WEB, disks: ['root'] });
    await until(body.restore, ({ bytesDone }) => bytesDone > 0);
    lab.glance.images.clear();
    open();
    const { disks } = await ended(body.restore);
    expect(disks[0]).toMatchObject({ state: 'failed', problem: expect.stringContaining('deleted') });
    expect(lab.glance.images.size).toBe(0);
  });

  test('because a pack is gone names the disk, and restores the others', async () => {
    const { store, journal } = await openVault();
    const before = new Set((await Array.fromAsync(store.list(Folder.packs))).map(({ key }) => key));
    for (let segment = 0; segment < 4; segment++) exporter.disks.get(DATA)?.write(segment, 9000 + segment);
    point = await backUp();
    const fresh = (await Array.fromAsync(store.list(Folder.packs)))
      .map(({ key }) => key)
      .filter((key) => !before.has(key));
    expect(fresh.length).toBeGreaterThan(0);
    await store.remove(fresh);
    const { disks } = await failed({ server: WEB });
    expect(disks).toEqual([
      expect.objectContaining({ name: ROOT, state: 'complete' }),
      expect.objectContaining({
        ...{ name: DATA, state: 'failed' },
        problem: expect.stringMatching(/packs\/.*Bytes 0 to 262143 of the disk/),
      }),
    ]);
    expect([...lab.glance.images.values()].map(({ fields }) => fields['ekko_disk'])).toEqual([ROOT]);
    expect(journal.state().points.size).toBe(1);
  });

  test('because the line broke tries again, and never takes a cut-off image for whole', async () => {
    lab.glance.faults.cut = { after: 600_000, times: 1 };
    const { body } = await start({ server: WEB, disks: ['root'] });
    const done = await ended(body.restore);
    expect(done.state).toBe('complete');
    expect([...lab.glance.images.keys()]).toEqual([done.disks[0].image]);
    expect(lab.glance.requests.filter((each) => each.endsWith('/file'))).toHaveLength(2);
  }, 20_000);

  test('because bytes changed on the way is found out by their digest', async () => {
    lab.glance.faults.flip = true;
    const { body } = await start({ server: WEB, disks: ['root'] });
    await until(body.restore, () => lab.glance.requests.filter((each) => each.endsWith('/file')).length > 1);
    lab.glance.faults.flip = false;
    expect((await ended(body.restore)).state).toBe('complete');
    expect(lab.glance.images.size).toBe(1);
  }, 20_000);

  test('because the token ended goes on with the next one', async () => {
    lab.cloud.tokens.set('short', { project: 'a', roles: ['member'], expiresAt: Date.now() + 3_600_000 });
    const open = closeGate(500_000);
    const { body } = await start({ server: WEB, disks: ['root'] }, 'short');
    await until(body.restore, ({ bytesDone }) => bytesDone > 0).then(() => lab.cloud.tokens.delete('short'));
    open();
    const done = await ended(body.restore);
    expect(done.state).toBe('complete');
    expect([...lab.glance.images.keys()]).toEqual([done.disks[0].image]);
  }, 20_000);
});

test('a token that ends sooner, of somebody who looks, is not the one that a restore goes on with', async () => {
  lab.cloud.tokens.set('brief', { project: 'a', roles: ['member'], expiresAt: Date.now() + 60_000 });
  const open = closeGate(500_000);
  const { body } = await start({ server: WEB, disks: ['root'] });
  await until(body.restore, ({ bytesDone }) => bytesDone > 0);
  expect((await look(body.restore, 'brief')).status).toBe(200);
  lab.cloud.tokens.delete('brief');
  open();
  // Who may only read gives it no other token.
  expect((await ended(body.restore, 'reader')).state).toBe('complete');
  expect(lab.glance.requests.filter((each) => each.endsWith('/file'))).toHaveLength(1);
});

describe('cancelled', () => {
  test('in the middle, what is half made goes, and what is complete stays', async () => {
    const { body: first } = await start({ server: WEB, disks: [VOLUME] });
    await ended(first.restore);
    const open = closeGate(500_000);
    const { body } = await start({ server: WEB });
    await until(body.restore, ({ bytesDone }) => bytesDone > 500_000);
    const { body: cancelled } = await lab.call('DELETE', `/v1/restores/${body.restore}`);
    open();
    expect(cancelled.state).toBe('cancelled');
    expect(lab.glance.images.size).toBe(1);
    expect((await openVault()).journal.state().holds.size).toBe(0);
    expect((await look(body.restore)).body.state).toBe('cancelled');
    expect(lab.vaults.openNow()).toBe(0);
  });

  test('after its end it stays as it ended; images go as they are asked to, and one in use is told', async () => {
    const { body } = await start({ server: WEB });
    await ended(body.restore);
    expect((await lab.call('DELETE', `/v1/restores/${body.restore}`)).body.state).toBe('complete');
    expect(lab.glance.images.size).toBe(2);
    lab.glance.faults.inUse = true;
    const { body: kept } = await lab.call('DELETE', `/v1/restores/${body.restore}?images=all`);
    expect(kept.disks[0].problem).toContain('in use');
    lab.glance.faults.inUse = false;
    const { body: gone } = await lab.call('DELETE', `/v1/restores/${body.restore}?images=all`);
    expect(gone.disks.map(({ state }: { state: string }) => state)).toEqual(['removed', 'removed']);
    expect(lab.glance.images.size).toBe(0);
    expect((await lab.call('DELETE', `/v1/restores/${body.restore}?images=x`)).status).toBe(400);
  });
});
