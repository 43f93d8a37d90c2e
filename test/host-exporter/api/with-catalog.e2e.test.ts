import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RunningExporter, startExporter } from '../../../host-exporter/api/exporter.ts';
import { freePort } from '../../cloud/service.ts';
import { type Lab, openLab } from '../../functions/catalog/lab.ts';
import { restored } from '../../restored.ts';
import { lacks } from '../../setup/cache.ts';
import { makeDirectory, qemuImg, qemuIo, type TestDirectory } from '../changed-blocks/running-qemu.ts';
import { type LibvirtGuest, startLibvirtGuest } from '../libvirt/libvirt-guest.ts';

const MIB = 1024 * 1024;
const VOLUME = '11111111-2222-4333-8444-555555555555';
const STORE = 'a-swift-backups';

describe.skipIf(lacks('libvirt'))('catalog and exporter', () => {
  let lab: Lab;
  let guest: LibvirtGuest;
  let uploads: Server;
  let url: string;
  let exporter: RunningExporter;
  let folder: TestDirectory;
  const others: LibvirtGuest[] = [];
  /** What the store takes uploads with. */
  let signature: string;
  /** Uploads wait for it. */
  let gate: Promise<void> | undefined;
  /** Bytes that the store was sent. */
  let uploaded: number;

  beforeEach(async () => {
    lab = await openLab();
    folder = await makeDirectory();
    [signature, gate, uploaded] = ['x', undefined, 0];
    guest = await startLibvirtGuest({
      disks: [{ format: 'qcow2' }, { format: 'qcow2', serial: VOLUME }],
      project: 'a',
    });
    // Uploads, and a Keystone that knows the exporter's user beside the laboratory's.
    uploads = createServer(async (incoming, outgoing) => {
      const pieces: Buffer[] = [];
      for await (const piece of incoming) pieces.push(piece as Buffer);
      const times = { issued_at: new Date().toISOString(), expires_at: new Date(Date.now() + 3_600_000).toISOString() };
      if (incoming.method === 'POST') {
        outgoing.writeHead(201, { 'x-subject-token': 'exporter' }).end(JSON.stringify({ token: times }));
        return;
      }
      if (incoming.method === 'GET') {
        const caller = lab.cloud.tokens.get(String(incoming.headers['x-subject-token']));
        if (caller === undefined) {
          outgoing.writeHead(404).end();
          return;
        }
        const token = { ...times, project: { id: caller.project }, roles: caller.roles.map((name) => ({ name })) };
        outgoing.writeHead(200).end(JSON.stringify({ token }));
        return;
      }
      await gate;
      const { pathname, searchParams } = new URL(incoming.url ?? '/', 'http://x');
      if (searchParams.get('temp_url_sig') !== signature) {
        outgoing.writeHead(401).end();
        return;
      }
      uploaded += Buffer.concat(pieces).length;
      const key = pathname.slice(1);
      const made = await lab.vaults.places.store(STORE).create(key, [Buffer.concat(pieces)]);
      outgoing.writeHead(made === 'created' ? 201 : 412).end();
    });
    await new Promise<void>((resolve) => uploads.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(uploads.address() as AddressInfo).port}/`;
    const { open } = lab.vaults;
    Object.assign(lab.vaults, {
      open: async (...given: Parameters<typeof open>) =>
        Object.assign(await open(...given), { upload: async () => ({ url, query: `?temp_url_sig=${signature}` }) }),
    });
    exporter = await start();
  });

  afterEach(async () => {
    await exporter.stop();
    await lab.close();
    await new Promise((resolve) => uploads.close(resolve));
    await guest.remove();
    for (const other of others.splice(0)) await other.remove();
    await folder.remove();
  });

  async function start(): Promise<RunningExporter> {
    const port = await freePort();
    const { scratch, state } = guest.directory;
    const projects = { project_name: 'services', user_domain_name: 'Default', project_domain_name: 'Default' };
    return startExporter({
      ...{ version: '0', log: () => undefined, environment: {} },
      settings: {
        ...{ address: '127.0.0.1', port, host: 'c1', url: `http://127.0.0.1:${port}`, catalog: lab.url() },
        keystone: { auth_url: `${url}v3`, username: 'ekko', password: 'x', ...projects },
        ...{ roles: ['member'], libvirt: guest.uri, scratch_directory: scratch, state_directory: state },
        ...{ scratch_low_water: MIB, bandwidth: 0, exports_at_once: 2, audit_share: 0 },
        ...{ freeze_seconds: 60, watchdog_seconds: 60, hold_seconds: 600 },
      },
    });
  }

  async function ask(method: string, path: string, body?: object, token = 'alice') {
    const answer = await lab.call(method, path, { token, ...(body === undefined ? {} : { body }) });
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  async function backUp(): Promise<string> {
    const { run } = await ask('POST', '/v1/runs', { policy: 'p' });
    await ask('POST', `/v1/runs/${run}/moment`);
    while ((await ask('GET', `/v1/runs/${run}`)).state !== 'staged') await sleep(50);
    await ask('POST', `/v1/runs/${run}/commit`);
    return run;
  }

  test('a policy’s run is staged by the exporter, committed by the catalog, and counts from the one before', async () => {
    lab.addServer(guest.uuid, { project: 'a', host: 'c1', volumes: [VOLUME] });
    await lab.addPolicy('p', { servers: [guest.uuid] }, { quiesce: 'never' });
    while ((await lab.call('GET', '/v1/exporters', { token: 'admin' })).body.exporters.length === 0) await sleep(20);
    await guest.io(0, 'write -P 0x11 0 1M');
    const first = await backUp();
    expect(await guest.bitmaps()).toEqual([`disk0.qcow2 ekko-${first}`, `disk1.qcow2 ekko-${first}`]);
    await guest.io(0, 'write -P 0x22 0 64k');
    const second = await backUp();
    const vault = await lab.vaults.look('a', 'swift:backups');
    const disks = vault.journal.state().points.get(second)?.disks;
    expect(disks?.map(({ name }) => name)).toEqual([`${guest.uuid}/root`, `${guest.uuid}/${VOLUME}`]);
    const expected = Buffer.alloc(4 * MIB).fill(0x11, 0, MIB);
    expect((await restored(vault, first)).equals(expected)).toBe(true);
    expect((await restored(vault, second)).equals(expected.fill(0x22, 0, 65_536))).toBe(true);
  });

  test('where the policy allows it, what the vault has is read again, and not sent again', async () => {
    lab.addServer(guest.uuid, { project: 'a', host: 'c1', volumes: [VOLUME] });
    await lab.addPolicy('p', { servers: [guest.uuid] }, { quiesce: 'never', sourceDedupe: true });
    while ((await lab.call('GET', '/v1/exporters', { token: 'admin' })).body.exporters.length === 0) await sleep(20);
    for (const at of Array(16).keys()) await guest.io(0, `write -P ${at + 1} ${at * 64}k 64k`);
    const first = await backUp();
    await guest.removeBitmaps();
    await guest.io(0, 'write -P 0x22 0 64k');
    const bytesBefore = uploaded;
    const { run } = await ask('POST', '/v1/runs', { policy: 'p' });
    await ask('POST', `/v1/runs/${run}/moment`);
    while ((await ask('GET', `/v1/runs/${run}`)).state !== 'staged') await sleep(50);
    const { members } = await ask('GET', `/v1/runs/${run}`);
    expect(members).toMatchObject([{ bytesKnown: 15 * 65_536 }]);
    expect(uploaded - bytesBefore).toBeLessThan(2 * 65_536);
    await ask('POST', `/v1/runs/${run}/commit`);
    const vault = await lab.vaults.look('a', 'swift:backups');
    const expected = Buffer.alloc(4 * MIB);
    for (const at of Array(16).keys()) expected.fill(at + 1, at * 65_536, (at + 1) * 65_536);
    expect((await restored(vault, first)).equals(expected)).toBe(true);
    expect((await restored(vault, run)).equals(expected.fill(0x22, 0, 65_536))).toBe(true);
  });

  /** A server whose root disk was built on the image at `base`, with one segment of its own. */
  async function addServerOn(base: string, at: number): Promise<LibvirtGuest> {
    const image = folder.file(`disk${at}`);
    await qemuImg('create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', base, image, '4M');
    await qemuIo(image, `write -P ${0x40 + at} ${at * 64}k 64k`);
    const server = await startLibvirtGuest({ disks: [{ format: 'qcow2', image }], project: 'a' });
    others.push(server);
    lab.addServer(server.uuid, { project: 'a', host: 'c1' });
    return server;
  }

  test('the image of a group’s servers is backed up once, and of each of them what its own image holds', async () => {
    const [plain, base] = [folder.file('plain'), folder.file('base')];
    await qemuImg('create', '-q', '-f', 'qcow2', plain, '3M');
    await qemuIo(plain, 'write -P 0x11 0 2M');
    await qemuImg('convert', '-O', 'raw', plain, base);
    const servers = [await addServerOn(base, 1), await addServerOn(base, 2)];
    await lab.addPolicy('p', { servers: servers.map(({ uuid }) => uuid) }, { quiesce: 'never' });
    while ((await lab.call('GET', '/v1/exporters', { token: 'admin' })).body.exporters.length === 0) await sleep(20);
    const started = await ask('POST', '/v1/runs', { policy: 'p' });
    expect(started.images).toBe('storing');
    let view = await ask('POST', `/v1/runs/${started.run}/images`);
    for (; view.state === 'storing'; await sleep(50)) view = await ask('POST', `/v1/runs/${started.run}/images`);
    expect(view.images).toMatchObject([{ state: 'stored' }]);
    await ask('POST', `/v1/runs/${started.run}/moment`);
    while ((await ask('GET', `/v1/runs/${started.run}`)).state !== 'staged') await sleep(50);
    expect((await ask('GET', `/v1/runs/${started.run}`)).bytesTotal).toBe(2 * 65_536);
    await ask('POST', `/v1/runs/${started.run}/commit`);
    const vault = await lab.vaults.look('a', 'swift:backups');
    const [image, point, ...more] = [...vault.journal.state().points.values()];
    expect(more).toEqual([]);
    expect(image).toMatchObject({ group: `image/${view.images[0].image}`, disks: [{ size: 3 * MIB }] });
    const names = servers.map(({ uuid }) => `${uuid}/root`);
    expect(point?.disks.map(({ name }) => name).toSorted()).toEqual(names.toSorted());
    const expected = Buffer.alloc(4 * MIB).fill(0x11, 0, 2 * MIB);
    const first = names.indexOf(point?.disks[0]?.name ?? '') + 1;
    expected.fill(0x40 + first, first * 65_536, (first + 1) * 65_536);
    expect((await restored(vault, started.run)).equals(expected)).toBe(true);
    const { members } = await ask('GET', `/v1/vaults/main/points/${started.run}`);
    expect(members).toMatchObject([{ image: image?.group, changedBytes: 65_536 }, { image: image?.group }]);
    // Of the servers one bitmap each, of the image's run none.
    for (const server of servers) expect(await server.bitmaps()).toMatchObject([expect.stringContaining(started.run)]);
    expect((await ask('POST', '/v1/runs', { policy: 'p' })).images).toBe('ready');
  });

  /** A run whose export is in the middle of its first upload when the token that began it and the permission to upload have ended. */
  async function outlived() {
    lab.addServer(guest.uuid, { project: 'a', host: 'c1', volumes: [VOLUME] });
    await lab.addPolicy('p', { servers: [guest.uuid] }, { quiesce: 'never' });
    while ((await lab.call('GET', '/v1/exporters', { token: 'admin' })).body.exporters.length === 0) await sleep(20);
    await guest.io(0, 'write -P 0x11 0 1M');
    lab.cloud.tokens.set('short', { project: 'a', roles: ['member'], expiresAt: Date.now() + 3_600_000 });
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    const { run } = await ask('POST', '/v1/runs', { policy: 'p' }, 'short');
    await ask('POST', `/v1/runs/${run}/moment`, undefined, 'short');
    lab.cloud.tokens.delete('short');
    // Another process, which believes nothing that the first one was told.
    await lab.restart();
    signature = 'y';
    expect((await lab.call('GET', `/v1/runs/${run}`, { token: 'short' })).status).toBe(401);
    return { run, release: resolve };
  }

  const staged = async (run: string) => {
    const keys: string[] = [];
    for await (const { key } of lab.vaults.places.store(STORE).list(`staging/${run}/`)) keys.push(key);
    return keys;
  };

  async function expectWhole(run: string): Promise<void> {
    await ask('POST', `/v1/runs/${run}/commit`);
    const expected = Buffer.alloc(4 * MIB).fill(0x11, 0, MIB);
    expect((await restored(await lab.vaults.look('a', 'swift:backups'), run)).equals(expected)).toBe(true);
  }

  test('a run outlives its token and its permission to upload: a later call brings both anew, to the exporter too', async () => {
    const { run, release } = await outlived();
    // As workflows do, every minute at least.
    await ask('GET', `/v1/runs/${run}`);
    release();
    while ((await ask('GET', `/v1/runs/${run}`)).state !== 'staged') await sleep(50);
    // The exporter's notices are believed again: nothing is left to the commit.
    while ((await staged(run)).some((key) => !key.endsWith('/summary'))) await sleep(50);
    await expectWhole(run);
  });

  test('an export that nobody brought a new token in time is tried again from the moment that is held', async () => {
    const { run, release } = await outlived();
    release();
    const state = async () => (await ask('GET', `/v1/runs/${run}`)).state;
    // Nobody looks meanwhile, which would bring one.
    await sleep(1500);
    expect(await state()).toBe('failed');
    await ask('POST', `/v1/runs/${run}/retry`);
    while ((await state()) !== 'staged') await sleep(50);
    await expectWhole(run);
  });

  test('an export that failed is in no later run’s way when the exporter was stopped before it heard that the run was given up', async () => {
    const { run, release } = await outlived();
    release();
    const record = join(guest.directory.state, 'runs', `${guest.uuid}_${run}.json`);
    while (!(await readFile(record, 'utf8')).includes('"retryable":true')) await sleep(50);
    await exporter.stop();
    await ask('DELETE', `/v1/runs/${run}`);
    exporter = await start();
    const known = async () => (await lab.call('GET', '/v1/exporters', { token: 'admin' })).body.exporters;
    while (!(await known())[0].url.endsWith(`:${exporter.port}`)) await sleep(20);
    await expectWhole(await backUp());
  });
});
