import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RunningExporter, startExporter } from '../../../host-exporter/api/exporter.ts';
import { freePort } from '../../cloud/service.ts';
import { type Lab, openLab } from '../../functions/catalog/lab.ts';
import { restored } from '../../model/world.ts';
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

  beforeEach(async () => {
    lab = await openLab();
    folder = await makeDirectory();
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
        const token = { ...times, project: { id: caller?.project }, roles: caller?.roles.map((name) => ({ name })) };
        outgoing.writeHead(200).end(JSON.stringify({ token }));
        return;
      }
      const key = new URL(incoming.url ?? '/', 'http://x').pathname.slice(1);
      const made = await lab.vaults.places.store(STORE).create(key, [Buffer.concat(pieces)]);
      outgoing.writeHead(made === 'created' ? 201 : 412).end();
    });
    await new Promise<void>((resolve) => uploads.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(uploads.address() as AddressInfo).port}/`;
    const { open } = lab.vaults;
    Object.assign(lab.vaults, {
      open: async (...given: Parameters<typeof open>) =>
        Object.assign(await open(...given), { upload: async () => ({ url, query: '?temp_url_sig=x' }) }),
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

  async function ask(method: string, path: string, body?: object) {
    const answer = await lab.call(method, path, body === undefined ? {} : { body });
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
});
