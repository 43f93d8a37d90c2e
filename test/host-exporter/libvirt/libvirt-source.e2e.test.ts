import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LibvirtSource } from '../../../host-exporter/libvirt/libvirt-source.ts';
import { lacks } from '../../setup/cache.ts';
import { assemble, createPoints, type Points, planOf, readWhole, segments } from '../changed-blocks/disk-model.ts';
import { type LibvirtGuest, startLibvirtGuest } from './libvirt-guest.ts';

const VOLUME = '11111111-2222-4333-8444-555555555555';
const MIB = 1024 * 1024;

describe.skipIf(lacks('libvirt'))('a guest of libvirt', () => {
  let guest: LibvirtGuest;
  let source: LibvirtSource;
  let points: Points;
  let root: string;
  let volume: string;

  beforeEach(async () => {
    guest = await startLibvirtGuest({
      disks: [{ format: 'qcow2' }, { format: 'qcow2', serial: VOLUME }, { format: 'raw' }],
    });
    source = guest.open();
    points = createPoints();
    root = `${guest.uuid}/root`;
    volume = `${guest.uuid}/${VOLUME}`;
  });

  afterEach(async () => {
    await source.close();
    await guest.remove();
  });

  const checkpoints = async () => (await guest.virsh.run(['checkpoint-list', guest.uuid, '--name'])).trim();
  const commit = async (run: string) => {
    const moment = await source.take(points.request(run));
    points.add(run, moment.plans);
    await moment.end('committed');
    return moment;
  };
  const readNext = async (run: string, name = root) => {
    const moment = await source.take(points.request(run));
    const { plan } = planOf(moment, name);
    const found = { base: plan.base, reason: plan.fullReason, data: segments(plan.data) };
    await moment.end('abandoned');
    return found;
  };
  const pidOf = async () => {
    const file = await readdir('/proc');
    for (const pid of file.filter((name) => /^\d+$/.test(name))) {
      const said = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
      if (said.includes(`-uuid\0${guest.uuid}`)) return Number(pid);
    }
    throw new Error('no QEMU');
  };

  test('its disks are named by server and volume; one run leaves one bitmap, and libvirt knows of no checkpoint', async () => {
    expect((await source.disks()).map(({ name }) => name)).toEqual([root, volume, `${guest.uuid}/vdc`]);
    await guest.io(0, 'write -P 0x11 0 128k');
    await commit('r1');
    expect(await guest.bitmaps()).toEqual(['disk0.qcow2 ekko-r1', 'disk1.qcow2 ekko-r1']);
    await guest.io(0, 'write -P 0x22 64k 4k');
    const moment = await source.take(points.request('r2'));
    await guest.io(0, 'write -P 0x33 0 1M');
    expect(await checkpoints()).toBe('');
    expect(planOf(moment, root).plan).toMatchObject({ base: 'r1', data: [{ first: 1, count: 1 }] });
    expect((await readWhole(moment, root)).subarray(0, 65_537)).toEqual(
      Buffer.concat([Buffer.alloc(65_536, 0x11), Buffer.of(0x22)]),
    );
    expect(planOf(moment, `${guest.uuid}/vdc`).plan).toMatchObject({ fullReason: 'no-bitmap-support' });
    points.add('r2', moment.plans);
    await moment.end('committed');
    expect(await guest.bitmaps()).toEqual(['disk0.qcow2 ekko-r2', 'disk1.qcow2 ekko-r2']);
    expect(await checkpoints()).toBe('');
    expect(await readdir(guest.directory.scratch)).toEqual([]);
    expect(await readdir(guest.directory.state)).toEqual([]);
    await guest.virsh.run(['destroy', guest.uuid]);
    // As Nova does in a reboot: libvirt refuses where it knows of a checkpoint.
    await guest.virsh.run(['undefine', guest.uuid]);
  });

  test('what an abandoned run has read is read again', async () => {
    await commit('r1');
    await guest.io(0, 'write -P 0x22 0 64k');
    expect((await readNext('r2')).data).toEqual([0]);
    expect(await guest.bitmaps()).toEqual(['disk0.qcow2 ekko-r1', 'disk1.qcow2 ekko-r1']);
    await guest.io(0, 'write -P 0x22 128k 64k');
    expect(await readNext('r3')).toEqual({ base: 'r1', reason: undefined, data: [0, 2] });
  });

  test('disks with different parents share a moment', async () => {
    const only = guest.open({ disks: [root] });
    const moment = await only.take(points.request('r1'));
    points.add('r1', moment.plans);
    await moment.end('committed');
    await guest.io(0, 'write -P 0x22 64k 64k');
    const next = await source.take(points.request('r2'));
    expect(planOf(next, root).plan).toMatchObject({ base: 'r1', data: [{ first: 1, count: 1 }] });
    expect(planOf(next, volume).plan).toMatchObject({ fullReason: 'first-backup' });
    await next.end('abandoned');
  });

  test('a bitmap of a killed QEMU, a resized disk, a missing bitmap: all is read, with the reason; others’ bitmaps stay', async () => {
    await commit('r1');
    const node = JSON.parse(
      await guest.virsh.run(['qemu-monitor-command', guest.uuid, '{"execute":"query-named-block-nodes"}']),
    ).return.find((one: { file: string; drv: string }) => one.drv === 'qcow2' && one.file === guest.images[0]);
    const add = {
      execute: 'block-dirty-bitmap-add',
      arguments: { node: node['node-name'], name: 'other', persistent: true },
    };
    await guest.virsh.run(['qemu-monitor-command', guest.uuid, JSON.stringify(add)]);
    // Stored for the first time when it stops; the next, that is killed, leaves it in use.
    await guest.virsh.run(['destroy', guest.uuid]);
    await guest.start();
    process.kill(await pidOf(), 'SIGKILL');
    await untilOff();
    await guest.start();
    expect(await readNext('r2')).toMatchObject({ base: undefined, reason: 'bitmap-inconsistent' });
    await commit('r3');
    expect(await guest.bitmaps()).toEqual([
      'disk0.qcow2 ekko-r3',
      'disk0.qcow2 other inconsistent',
      'disk1.qcow2 ekko-r3',
    ]);
    await guest.virsh.run(['blockresize', guest.uuid, 'vdb', '5M']);
    expect(await readNext('r4', volume)).toMatchObject({ base: undefined, reason: 'disk-resized' });
    const only = guest.open({ disks: [volume] });
    await only.settle('none', 'committed');
    expect(await readNext('r5', volume)).toMatchObject({ base: undefined, reason: 'bitmap-missing' });
    expect(await readNext('r6')).toMatchObject({ base: 'r3', reason: undefined });
    expect(await checkpoints()).toBe('');
  });

  async function untilOff(): Promise<void> {
    while (!(await guest.virsh.run(['domstate', guest.uuid])).startsWith('shut off')) await sleep(50);
  }

  test('a snapshot between two runs loses nothing: libvirt takes the bitmap along', async () => {
    await commit('r1');
    await guest.io(0, 'write -P 0x22 0 64k');
    const spec = ['--diskspec', `vda,file=${guest.directory.file('overlay.qcow2')}`];
    const others = ['vdb', 'vdc'].flatMap((device) => ['--diskspec', `${device},snapshot=no`]);
    await guest.virsh.run(['snapshot-create-as', guest.uuid, 's', '--disk-only', '--no-metadata', ...spec, ...others]);
    await guest.io(0, 'write -P 0x33 128k 64k');
    expect(await readNext('r2')).toEqual({ base: 'r1', reason: undefined, data: [0, 2] });
  });

  test('a backup that somebody else ends is told, and nothing is lost', async () => {
    await commit('r1');
    await guest.io(0, 'write -P 0x22 0 64k');
    const moment = await source.take(points.request('r2'));
    await guest.virsh.run(['domjobabort', guest.uuid]);
    await expect(readWhole(moment, root)).rejects.toThrow('ended from outside (the server is paused');
    await moment.end('abandoned');
    expect((await readNext('r3')).data).toEqual([0]);
  });

  test('a guest that stops during a moment: reads say so, the end succeeds, the next moment misses nothing', async () => {
    await commit('r1');
    await guest.io(0, 'write -P 0x22 0 64k');
    const moment = await source.take(points.request('r2'));
    await guest.virsh.run(['destroy', guest.uuid]);
    await expect(readWhole(moment, root)).rejects.toThrow('the server is shut off');
    await moment.end('abandoned');
    await expect(source.take(points.request('r3'))).rejects.toThrow('is shut off');
    await guest.start();
    await guest.io(0, 'write -P 0x22 128k 64k');
    expect((await readNext('r4')).data).toEqual([0, 2]);
    expect(await readdir(guest.directory.scratch)).toEqual([]);
  });

  test('nobody connects to a backup that has ended: QEMU hangs when somebody comes while it ends its exports', async () => {
    const moment = await source.prepare(points.request('r1'));
    for (const step of ['freeze', 'checkpoint', 'thaw'] as const) await moment[step]();
    const [, socket] = /socket='([^']+)'/.exec(await guest.virsh.run(['backup-dumpxml', guest.uuid])) ?? [];
    await guest.virsh.run(['domjobabort', guest.uuid]);
    while (!(await guest.virsh.run(['domjobinfo', guest.uuid])).includes('None')) await sleep(20);
    let came = 0;
    const listener = createServer((connection) => {
      came++;
      connection.destroy();
    }).listen(socket);
    await once(listener, 'listening');
    await expect(moment.open()).rejects.toThrow('ended from outside');
    listener.close();
    await moment.cancel();
    expect(came).toBe(0);
  });

  test("somebody else's backup is left alone, and so is a moment that is held", async () => {
    const document = guest.directory.file('other.xml');
    await writeFile(
      document,
      `<domainbackup mode='pull'><server transport='unix' socket='${guest.directory.file('other')}'/><disks><disk name='vda' type='file'><scratch file='${guest.directory.file('other-scratch')}'/></disk></disks></domainbackup>`,
    );
    await guest.virsh.run(['backup-begin', guest.uuid, document]);
    await expect(source.take(points.request('r1'))).rejects.toMatchObject({ code: 'busy' });
    expect(await guest.virsh.run(['domjobinfo', guest.uuid])).toContain('Backup');
    await guest.virsh.run(['domjobabort', guest.uuid]);
    const moment = await source.take(points.request('r1'));
    await expect(source.take(points.request('r2'))).rejects.toMatchObject({ code: 'busy' });
    await moment.end('abandoned');
  });

  test('steps come in their order, each may be asked for again, and what is cancelled leaves nothing', async () => {
    const moment = await source.prepare(points.request('r1'));
    await expect(moment.checkpoint()).rejects.toMatchObject({ code: 'bad-input' });
    await moment.cancel();
    const again = await source.prepare(points.request('r1'));
    await Promise.all([again.freeze(), again.freeze()]);
    await Promise.all([again.checkpoint(), again.checkpoint()]);
    await again.thaw();
    expect(await guest.bitmaps()).toEqual(['disk0.qcow2 ekko-r1', 'disk1.qcow2 ekko-r1']);
    await again.cancel();
    expect(await guest.bitmaps()).toEqual([]);
    expect(await readdir(guest.directory.scratch)).toEqual([]);
    expect(await guest.virsh.run(['domjobinfo', guest.uuid])).toContain('None');
  });

  test.each(['prepare', 'freeze', 'checkpoint', 'thaw', 'open'])(
    'an exporter that is killed after %s: the next one clears up, and no change is missed',
    async (step) => {
      await guest.io(0, 'write -P 0x11 0 4M');
      const first = await source.take(points.request('r1'));
      const base = await assemble(first, root);
      points.add('r1', first.plans);
      await first.end('committed');
      await guest.io(0, 'write -P 0x22 0 64k');
      await killOneAfter(step);
      await guest.io(0, 'write -P 0x33 1M 64k');
      const moment = await source.take(points.request('r3'));
      expect(await checkpoints()).toBe('');
      expect(segments(planOf(moment, root).plan.data)).toEqual([0, 16]);
      expect((await assemble(moment, root, base)).equals(await readWhole(moment, root))).toBe(true);
      points.add('r3', moment.plans);
      await moment.end('committed');
      expect(await guest.bitmaps()).toEqual(['disk0.qcow2 ekko-r3', 'disk1.qcow2 ekko-r3']);
      expect(await readdir(guest.directory.scratch)).toEqual([]);
    },
  );

  test('what an exporter that is gone held can be settled by its run', async () => {
    await commit('r1');
    await killOneAfter('open');
    await source.settle('r2', 'committed');
    expect(await guest.bitmaps()).toEqual(['disk0.qcow2 ekko-r2', 'disk1.qcow2 ekko-r2']);
    await killOneAfter('open', 'r3');
    await source.settle('r3', 'abandoned');
    expect(await guest.bitmaps()).toEqual(['disk0.qcow2 ekko-r2', 'disk1.qcow2 ekko-r2']);
    expect(await guest.virsh.run(['domjobinfo', guest.uuid])).toContain('None');
  });

  test('a bitmap that goes between preparing and the moment: all is read, with the reason', async () => {
    await commit('r1');
    const moment = await source.prepare(points.request('r2'));
    await guest.removeBitmaps();
    await moment.freeze();
    await moment.checkpoint();
    await moment.thaw();
    const held = await moment.open();
    expect(planOf(held, root).plan).toMatchObject({ base: undefined, fullReason: 'bitmap-inconsistent' });
    await held.end('abandoned');
  });

  test('documents for libvirt may lie in a directory of any name', async () => {
    const stateDirectory = guest.directory.file(String.raw`it's "here"; \ too`);
    await mkdir(stateDirectory);
    const elsewhere = guest.open({ stateDirectory });
    for (const run of ['r1', 'r2']) await (await elsewhere.take(points.request(run))).end('committed');
    expect(await guest.bitmaps()).toEqual(['disk0.qcow2 ekko-r2', 'disk1.qcow2 ekko-r2']);
  });

  test('a server that is stopped at any command can be undefined, as Nova does when it deletes or reboots one', async () => {
    const told = guest.directory.file('told');
    let at = 0;
    for (let given = 0; at <= given; at++) {
      await writeFile(told, '');
      const stopping = guest.open({ connection: { uri: guest.uri, program: await stopBefore(at, told) } });
      await commit(`p${at}`);
      await guest.io(0, 'write -P 0x22 0 64k');
      const run = await stopping.take(points.request(`r${at}`)).catch(() => undefined);
      await run?.end('committed').catch(() => undefined);
      const lines = (await readFile(told, 'utf8')).trimEnd().split('\n');
      given = lines.filter((line) => line.startsWith('command ')).length;
      // At any time: Nova undefines what it has stopped at once.
      expect({ at, known: lines.filter((line) => line.startsWith('known ')) }).toEqual({ at, known: [] });
      await guest.virsh.run(['destroy', guest.uuid]).catch(() => undefined);
      await guest.virsh.run(['undefine', guest.uuid]);
      await guest.define();
      await guest.start();
    }
    expect(at).toBeGreaterThan(6);
  });

  /**
   * A `virsh` that has the guest stopped before command number `at` of those that change what libvirt knows of backups, be it the first of a
   * call or a later one. It tells in the file `told` of each of these commands, and of each checkpoint that libvirt knows after a call.
   */
  async function stopBefore(at: number, told: string): Promise<string> {
    const program = guest.directory.file('stopping-virsh');
    const script = `#!${process.execPath}
const { spawnSync } = require('node:child_process');
const { appendFileSync, readFileSync } = require('node:fs');
const [virsh, destroy] = [['--quiet', '--connect', '${guest.uri}'], ['destroy', '${guest.uuid}']];
const args = process.argv.slice(2);
const run = (words, stdio) => spawnSync('virsh', words, { stdio, encoding: 'utf8' });
let given = readFileSync('${told}', 'utf8').split('\\n').filter((line) => line.startsWith('command ')).length;
const stopping = (command) => {
  if (!/checkpoint-(?:create|delete)|backup-begin|domjobabort/.test(command)) return [command];
  appendFileSync('${told}', 'command ' + command.slice(0, 30) + '\\n');
  return given++ === ${at} ? [destroy.join(' '), command] : [command];
};
// Several commands come as one argument, and questions as several.
if (args.length === 4) args[3] = args[3].split('; ').flatMap(stopping).join('; ');
else if (stopping(args.slice(3).join(' ')).length > 1) run([...virsh, ...destroy]);
const { status } = run(args, 'inherit');
for (const name of run([...virsh, 'checkpoint-list', '${guest.uuid}', '--name']).stdout.split(/\\s+/).filter(Boolean))
  appendFileSync('${told}', 'known ' + name + '\\n');
process.exit(status ?? 1);
`;
    await writeFile(program, script, { mode: 0o700 });
    return program;
  }

  test('a volume that was taken from the guest after its moment has its bitmaps with it; those of the other disks are settled', async () => {
    const both = guest.open({ disks: [root, volume] });
    await commit('r1');
    const moment = await both.take(points.request('r2'));
    points.add('r2', moment.plans);
    await moment.end('undecided');
    await guest.virsh.run(['detach-disk', guest.uuid, 'vdb', '--config']);
    await guest.virsh.run(['destroy', guest.uuid]);
    await guest.start();
    await both.settle('r2', 'committed');
    expect(await guest.bitmaps()).toEqual(['disk0.qcow2 ekko-r2']);
  });

  async function killOneAfter(step: string, run = 'r2'): Promise<void> {
    const entry = new URL('./dying-exporter.ts', import.meta.url).pathname;
    const env = { ...process.env, DISK_SIZE: String(4 * MIB) };
    const child = spawn(process.execPath, [entry, JSON.stringify(guest.options()), run, 'never', step], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});
