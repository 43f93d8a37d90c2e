import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { freePort } from '../../cloud/service.ts';
import { restored } from '../../restored.ts';
import { lacks } from '../../setup/cache.ts';
import { type LibvirtGuest, startLibvirtGuest } from '../libvirt/libvirt-guest.ts';
import { type ExporterClient, startHere } from './exporter-fixture.ts';
import { type StubCloud, startStubCloud } from './stub-cloud.ts';

const MIB = 1024 * 1024;
const VOLUME = '11111111-2222-4333-8444-555555555555';

describe.skipIf(lacks('libvirt'))('the exporter', () => {
  let guest: LibvirtGuest;
  let cloud: StubCloud;
  let exporter: ExporterClient & { readonly log: readonly string[]; stop(): Promise<void> };
  let root: string;
  let disks: readonly string[];

  beforeEach(async () => {
    guest = await startLibvirtGuest({ disks: [{ format: 'qcow2' }, { format: 'qcow2', serial: VOLUME }] });
    [root, disks] = [`${guest.uuid}/root`, [`${guest.uuid}/root`, `${guest.uuid}/${VOLUME}`]];
    cloud = await startStubCloud(guest.directory.path);
    exporter = await startHere(guest, cloud, await freePort());
  });

  afterEach(async () => {
    await exporter.stop();
    await cloud.close();
    await guest.remove();
  });

  const expected = (...fills: readonly (readonly [byte: number, from: number, length: number])[]) => {
    const image = Buffer.alloc(4 * MIB);
    for (const [byte, from, length] of fills) image.fill(byte, from, from + length);
    return image;
  };

  test('a full and an incremental backup become points that restore to what the disk was', async () => {
    await guest.io(0, 'write -P 0x11 0 2M');
    const first = await cloud.newRun(disks);
    const report = await exporter.stage(first);
    await guest.io(0, 'write -P 0x22 64k 4k');
    expect(report).toMatchObject({
      state: 'staged',
      disks: [
        { name: root, bytesTotal: 2 * MIB, bytesDone: 2 * MIB, fullReason: 'first-backup' },
        { name: disks[1], bytesTotal: 0, bytesDone: 0, fullReason: 'first-backup' },
      ],
      consistency: 'crash',
      frozenMs: 0,
    });
    // Nothing is held any more: Nova may do what it wants.
    expect(await guest.virsh.run(['domjobinfo', guest.uuid])).toContain('None');
    expect(cloud.noticed.toSorted()).toEqual(cloud.staged.filter((key) => !key.endsWith('summary')).toSorted());
    await cloud.commit(first);
    expect((await exporter.end(first, 'committed')).json).toMatchObject({ state: 'ended' });
    expect((await exporter.end(first, 'committed')).status).toBe(200);
    expect(await guest.bitmaps()).toEqual([`disk0.qcow2 ekko-${first}`, `disk1.qcow2 ekko-${first}`]);

    const second = await cloud.newRun(disks);
    const next = await exporter.stage(second);
    expect(next.disks[0]).toEqual({ name: root, bytesTotal: 65_536, bytesDone: 65_536 });
    await cloud.commit(second);
    await exporter.end(second, 'committed');
    expect((await restored(cloud.vault, first)).equals(expected([0x11, 0, 2 * MIB]))).toBe(true);
    expect((await restored(cloud.vault, second)).equals(expected([0x11, 0, 2 * MIB], [0x22, 65_536, 4096]))).toBe(true);
    expect(await readdir(`${guest.directory.state}/runs`)).toEqual([]);
    expect(cloud.registered[0]).toEqual({ host: 'compute-1', url: exporter.url });
  });

  test('steps asked for twice happen once; those out of order are refused', async () => {
    const run = await cloud.newRun(disks);
    await exporter.step(run, '');
    await expect(exporter.step(run, 'thaw')).rejects.toThrow('409 busy');
    await exporter.step(run, '');
    await Promise.all([exporter.step(run, 'freeze'), exporter.step(run, 'freeze')]);
    await exporter.step(run, 'checkpoint');
    await Promise.all([exporter.step(run, 'checkpoint'), exporter.step(run, 'thaw')]);
    await exporter.step(run, 'freeze');
    await Promise.all([exporter.step(run, 'export'), exporter.step(run, 'export')]);
    await exporter.until(run, 'staged');
    await exporter.step(run, 'export');
    expect(new Set(cloud.staged).size).toBe(cloud.staged.length);
    await exporter.end(run, 'abandoned');
    expect(await guest.bitmaps()).toEqual([]);
  });

  test('whoever may not, learns nothing: no token 401, a reader 403, another project 404', async () => {
    const run = await cloud.newRun(disks);
    await exporter.step(run, '');
    const server = `/v1/servers/${guest.uuid}`;
    const member = `/v1/runs/${run}${server.slice(3)}`;
    const calls = [
      ['GET', server],
      ['PUT', member],
      ['GET', member],
      ...['freeze', 'checkpoint', 'thaw', 'export'].map((step) => ['POST', `${member}/${step}`]),
      ['DELETE', `${member}?outcome=abandoned`],
    ] as const;
    const statuses = async (token: string) => {
      const answers = await Promise.all(
        calls.map(([method = '', path = '']) =>
          exporter.call(method, path, method === 'PUT' ? { catalog: cloud.url } : undefined, token),
        ),
      );
      return [...new Set(answers.map(({ status }) => status))];
    };
    expect(await statuses('')).toEqual([401]);
    expect(await statuses('nobody')).toEqual([401]);
    expect(await statuses('unscoped')).toEqual([401]);
    expect(await statuses('reader')).toEqual([403]);
    expect(await statuses('stranger')).toEqual([404]);
    cloud.callers.set('late', { project: 'p1', roles: ['member'], endsAt: Date.now() - 1 });
    expect(await statuses('late')).toEqual([401]);
    expect((await exporter.call('GET', member)).json.state).toBe('prepared');
    const { json } = await exporter.call('GET', server);
    expect(json).toMatchObject({
      ...{ server: guest.uuid, name: 'web' },
      disks: [
        { name: root, device: 'vda', kind: 'local', size: 4 * MIB },
        { name: disks[1], device: 'vdb', kind: 'volume', volume: VOLUME, size: 4 * MIB },
      ],
    });
    // One question a token, however often it is shown within a minute.
    expect(cloud.asked.filter((token) => token === 'owner')).toHaveLength(1);
  });

  test('what makes no sense is refused in words', async () => {
    const run = await cloud.newRun(disks);
    const member = `/v1/runs/${run}/servers/${guest.uuid}`;
    const codes = await Promise.all([
      exporter.call('PUT', member, { catalog: 'http://127.0.0.1:1' }),
      exporter.call('PUT', `/v1/runs/unknown/servers/${guest.uuid}`, { catalog: cloud.url }),
      exporter.call('PUT', `/v1/runs/..%2f..%2fx/servers/${guest.uuid}`, { catalog: cloud.url }),
      exporter.call('DELETE', `${member}?outcome=maybe`),
      exporter.call('PATCH', member, {}),
      exporter.call('GET', '/v1/nothing'),
      exporter.call('GET', '/v1/servers/00000000-0000-4000-8000-000000000000'),
      exporter.call('PUT', member, { catalog: 'x'.repeat(70_000) }),
    ]);
    expect(codes.map(({ status, json }) => [status, json.code])).toEqual([
      [400, 'bad-input'],
      [404, 'run-unknown'],
      [404, 'not-found'],
      [404, 'run-unknown'],
      [405, 'method-not-allowed'],
      [404, 'not-found'],
      [404, 'server-unknown'],
      [413, 'too-large'],
    ]);
  });

  test('an upload that fails is tried again; an export that fails is done again from the same moment', async () => {
    await guest.io(0, 'write -P 0x11 0 2M');
    cloud.failUploads = 1;
    const run = await cloud.newRun(disks);
    for (const step of ['', 'freeze', 'checkpoint', 'thaw'] as const) await exporter.step(run, step);
    await guest.io(0, 'write -P 0x22 0 2M');
    await exporter.step(run, 'export');
    expect(await exporter.until(run, 'staged')).toMatchObject({ state: 'staged' });
    await cloud.commit(run);
    await exporter.end(run, 'committed');
    expect((await restored(cloud.vault, run)).equals(expected([0x11, 0, 2 * MIB]))).toBe(true);
  });

  test('a moment that nobody takes in time is given up, and another run can begin', async () => {
    await exporter.stop();
    exporter = await startHere(guest, cloud, await freePort(), { watchdog_seconds: 5 });
    const run = await cloud.newRun(disks);
    await exporter.step(run, '');
    await exporter.step(run, 'freeze');
    await expect(exporter.until(run, 'failed')).resolves.toMatchObject({
      problem: { message: expect.stringContaining('in time') },
    });
    expect(await guest.virsh.run(['domjobinfo', guest.uuid])).toContain('None');
    expect(await guest.bitmaps()).toEqual([]);
    const other = await cloud.newRun(disks);
    await exporter.stage(other);
    expect((await exporter.end(run, 'abandoned')).status).toBe(404);
    await exporter.end(other, 'abandoned');
  });

  test('a thaw before the checkpoint lets the guest go at once', async () => {
    const run = await cloud.newRun(disks);
    await exporter.step(run, '');
    await exporter.step(run, 'freeze');
    await expect(exporter.step(run, 'thaw')).rejects.toThrow('thawed before its checkpoint');
    expect(await guest.virsh.run(['checkpoint-list', guest.uuid, '--name'])).not.toContain('ekko');
    expect(await exporter.stage(run)).toMatchObject({ state: 'staged' });
    await exporter.end(run, 'abandoned');
  });

  test('one run holds a server; the next waits until it has ended', async () => {
    const [first, second] = [await cloud.newRun(disks), await cloud.newRun(disks)];
    await exporter.step(first, '');
    await expect(exporter.step(second, '')).rejects.toThrow(`409 busy Run ${first} holds server`);
    await exporter.end(first, 'abandoned');
    await exporter.stage(second);
    await exporter.end(second, 'abandoned');
    // An attempt that was broken off, and is begun again.
    expect(await exporter.step(second, '')).toMatchObject({ state: 'prepared' });
    await exporter.end(second, 'abandoned');
  });

  test('a server that must be quiesced and cannot be is told so, and nothing is left of the run', async () => {
    cloud.quiesce.mode = 'require';
    const run = await cloud.newRun(disks);
    await expect(exporter.step(run, '')).rejects.toThrow('409 qemu-failed');
    const { json } = await exporter.call('GET', `/v1/runs/${run}/servers/${guest.uuid}`);
    expect(json).toMatchObject({ state: 'failed', problem: { message: expect.stringContaining('must be quiesced') } });
    cloud.quiesce.mode = 'prefer';
    expect(await exporter.stage(run)).toMatchObject({ consistencyNote: 'the guest is not running' });
    await exporter.end(run, 'abandoned');
  });

  test('a snapshot that ends the backup from outside is a failure that says so; the next run misses nothing', async () => {
    await guest.io(0, 'write -P 0x11 0 2M');
    const first = await cloud.newRun(disks);
    await exporter.stage(first);
    await cloud.commit(first);
    await exporter.end(first, 'committed');
    await guest.io(0, 'write -P 0x22 0 64k');
    const run = await cloud.newRun(disks);
    for (const step of ['', 'freeze', 'checkpoint', 'thaw'] as const) await exporter.step(run, step);
    await guest.virsh.run(['domjobabort', guest.uuid]);
    // Who connects while QEMU ends its exports hangs it.
    while (!(await guest.virsh.run(['domjobinfo', guest.uuid])).includes('None')) await sleep(20);
    await exporter.step(run, 'export');
    const report = await exporter.until(run, 'failed');
    expect(report.problem?.message).toContain('ended from outside');
    await exporter.end(run, 'abandoned');
    const next = await cloud.newRun(disks);
    expect((await exporter.stage(next)).disks[0]).toMatchObject({ bytesTotal: 65_536 });
    await cloud.commit(next);
    await exporter.end(next, 'committed');
    expect((await restored(cloud.vault, next)).equals(expected([0x11, 0, 2 * MIB], [0x22, 0, 65_536]))).toBe(true);
  });

  test('nothing secret gets into the log', async () => {
    cloud.failUploads = 3;
    const run = await cloud.newRun(disks);
    await exporter.stage(run);
    await exporter.end(run, 'abandoned');
    await sleep(10);
    expect(exporter.log.join('\n')).not.toMatch(/owner|service-token|s3cret|not a secret/);
  });
});
