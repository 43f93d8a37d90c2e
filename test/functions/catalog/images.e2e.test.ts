import { afterEach, beforeEach, expect, test } from 'vitest';
import { imageName, newImageDigest } from '#vault/images.ts';
import { newModelGuest } from '../../model/model-guest.ts';
import { type Lab, openLab } from './lab.ts';
import type { StubExporter } from './stub-exporter.ts';

const WEB = '11111111-1111-4111-8111-111111111111';
const DB = '22222222-2222-4222-8222-222222222222';
const SEGMENTS = 4;

let lab: Lab;
let c1: StubExporter;
let c2: StubExporter;
let digest: string;

beforeEach(async () => {
  lab = await openLab();
  [c1, c2] = [await lab.addHost('c1'), await lab.addHost('c2')];
  lab.addServer(WEB, { name: 'web', host: 'c1' });
  lab.addServer(DB, { name: 'db', host: 'c2' });
  digest = await digestOf(newImage());
  for (const [exporter, server] of [[c1, WEB] as const, [c2, DB] as const]) {
    exporter.addDisk(`${server}/root`, 8).write(1, 11);
    exporter.images.set(`${server}/root`, { digest, content: newImage(imageName(digest)) });
  }
  await lab.addPolicy('shop', { servers: [WEB, DB] });
});
afterEach(() => lab.close());

function newImage(name = 'image') {
  const image = newModelGuest({ name, segments: SEGMENTS, missing: 0, dead: () => false });
  for (let segment = 0; segment < SEGMENTS; segment++) image.write(segment, segment + 1);
  return image;
}

async function digestOf(image: ReturnType<typeof newImage>): Promise<string> {
  const request = { run: 'r', known: () => undefined, newest: () => undefined, readAll: undefined } as const;
  const moment = await image.take({ ...request, quiesce: 'never', auditShare: 0 });
  const sum = newImageDigest(SEGMENTS * 65_536);
  for (let segment = 0; segment < SEGMENTS; segment++) {
    const bytes = Buffer.alloc(65_536);
    await moment.read(0, segment * 65_536, bytes.length, bytes);
    sum.add(segment, bytes);
  }
  return sum.finish();
}

const start = async () => (await lab.call('POST', '/v1/runs', { body: { policy: 'shop' } })).body;
const look = async (run: string) => (await lab.call('POST', `/v1/runs/${run}/images`)).body;
const wait = async (run: string) => {
  let view = await look(run);
  for (; view.state === 'storing'; view = await look(run)) await new Promise((resolve) => setTimeout(resolve, 10));
  return view;
};
const ticketOf = async (run: string, server: string) =>
  (await lab.call('GET', `/v1/runs/${run}/members/${server}/ticket`)).body;
const imagesIn = async () => {
  const vault = await lab.vaults.look('a', 'swift:backups');
  return [...vault.journal.state().points.values()].filter(({ group }) => group.startsWith('image/'));
};

test('an image that two servers were built on is stored once, and both tickets tell where it lies', async () => {
  const { run, images } = await start();
  expect(images).toBe('storing');
  expect(await wait(run)).toEqual({ state: 'ready', images: [{ image: digest, state: 'stored' }] });
  const [point, ...others] = await imagesIn();
  expect(others).toEqual([]);
  const known = {
    name: imageName(digest),
    point: point?.run,
    size: SEGMENTS * 65_536,
    manifest: point?.disks[0]?.manifest,
  };
  for (const server of [WEB, DB]) expect((await ticketOf(run, server)).disks).toMatchObject([{ image: known }]);
  expect(await look(run)).toMatchObject({ state: 'ready' });
  expect((await lab.call('GET', '/v1/vaults/main/points')).body.points).toEqual([]);
  const group = encodeURIComponent(known.name);
  expect((await lab.call('GET', `/v1/vaults/main/points?group=${group}`)).body.points).toHaveLength(1);
  // Its exporter was told that the image's run has ended well.
  expect([...c1.outcomes, ...c2.outcomes]).toEqual([[expect.stringContaining(point?.run ?? ''), 'committed']]);
});

test('two that wait at the same time, one of them in another process, have it stored once', async () => {
  const { run } = await start();
  await Promise.all([look(run), look(run)]);
  await lab.restart();
  expect(await wait(run)).toMatchObject({ images: [{ state: 'stored' }] });
  expect(await imagesIn()).toHaveLength(1);
});

test('an image that cannot be stored at one host is tried at the next, and then left: its servers are read in full', async () => {
  for (const exporter of [c1, c2]) exporter.faults.add('exporting');
  const { run } = await start();
  const view = await wait(run);
  expect(view.images).toMatchObject([
    { image: digest, state: 'failed', problem: expect.stringContaining('cannot be read') },
  ]);
  const tried = [...c1.steps, ...c2.steps].filter(({ step }) => step === 'export').map(({ server }) => server);
  expect(tried.toSorted()).toEqual([WEB, DB]);
  expect(await imagesIn()).toEqual([]);
  for (const server of [WEB, DB]) expect((await ticketOf(run, server)).disks[0]).not.toHaveProperty('image');
  for (const exporter of [c1, c2]) exporter.faults.clear();
  await lab.call('POST', `/v1/runs/${run}/moment`);
  await lab.until(run, 'staged');
  expect((await lab.call('POST', `/v1/runs/${run}/commit`)).status).toBe(200);
});

test('an image that is not what its name says is refused, and tried no more than twice', async () => {
  for (const { images } of [c1, c2]) for (const image of images.values()) image.content.write(0, 99);
  const { run } = await start();
  const view = await wait(run);
  expect(view.images).toMatchObject([{ state: 'failed', problem: expect.stringContaining('another image') }]);
  expect(await imagesIn()).toEqual([]);
  expect((await lab.vaults.look('a', 'swift:backups')).journal.state().openRuns.size).toBe(1);
});

test('an exporter that still reads an image is asked again; one that cannot read it is waited for no longer', async () => {
  const [web, db] = [c1.images.get(`${WEB}/root`), c2.images.get(`${DB}/root`)];
  for (const image of [web, db]) if (image) image.digest = '';
  const { run, images } = await start();
  expect(images).toBe('storing');
  expect(await look(run)).toEqual({ state: 'storing', images: [{ image: '', state: 'reading' }] });
  if (web) web.digest = digest;
  c2.images.clear();
  expect(await wait(run)).toEqual({ state: 'ready', images: [{ image: digest, state: 'stored' }] });
  expect((await ticketOf(run, WEB)).disks[0]).toHaveProperty('image');
  expect((await ticketOf(run, DB)).disks[0]).not.toHaveProperty('image');
});

test('who looks at the members of a policy has no image read', async () => {
  const { body } = await lab.call('GET', '/v1/policies/shop/members');
  expect(body.members).toMatchObject([{ disks: [{ name: `${WEB}/root` }] }, { disks: [{ name: `${DB}/root` }] }]);
  expect([c1.digestsAsked, c2.digestsAsked]).toEqual([[], []]);
  await start();
  expect([c1.digestsAsked, c2.digestsAsked]).toEqual([[WEB], [DB]]);
});

test('a moment that does not wait is taken all the same', async () => {
  const { run } = await start();
  await lab.call('POST', `/v1/runs/${run}/moment`);
  await lab.until(run, 'staged');
  expect((await lab.call('POST', `/v1/runs/${run}/commit`)).status).toBe(200);
});
