import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createHeldServer } from '../../../host-exporter/api/held-server.ts';
import type { LibvirtSource } from '../../../host-exporter/libvirt/libvirt-source.ts';
import { useHypervisor } from '../../cloud/hypervisor.ts';
import { lacks } from '../../setup/cache.ts';
import { createPoints } from '../changed-blocks/disk-model.ts';
import { bootGuest, freezeStatus } from './booted-guest.ts';
import type { LibvirtGuest } from './libvirt-guest.ts';

describe.skipIf(lacks('libvirt', 'guest'))('a guest of libvirt with an agent', () => {
  let guest: LibvirtGuest;
  let source: LibvirtSource;
  const { request } = createPoints();

  beforeAll(async () => {
    guest = await bootGuest();
  });

  afterAll(() => guest?.remove());

  beforeEach(() => {
    source = guest.open();
  });

  afterEach(() => source.close());

  const agent = (execute: string, args: object = {}) =>
    guest.virsh.run([
      ...['qemu-agent-command', guest.uuid, '--timeout', '20'],
      JSON.stringify({ execute, arguments: args }),
    ]);

  test('is frozen for its moment, and thawed before anything is read', async () => {
    const moment = await source.take(request('r1', { quiesce: 'require' }));
    expect(await freezeStatus(guest)).toBe('thawed');
    expect(moment).toMatchObject({
      consistency: 'file-system',
      consistencyNote: expect.stringContaining('file systems'),
    });
    expect(moment.frozenMs).toBeGreaterThan(0);
    expect(await readdir(guest.directory.state)).toEqual([]);
    await moment.end('abandoned');
  });

  test('stays frozen from step to step until the thaw', async () => {
    const moment = await source.prepare(request('r1', { quiesce: 'require' }));
    expect(await freezeStatus(guest)).toBe('thawed');
    await moment.freeze();
    expect(await freezeStatus(guest)).toBe('frozen');
    await moment.checkpoint();
    expect(await freezeStatus(guest)).toBe('frozen');
    await moment.thaw();
    expect(await freezeStatus(guest)).toBe('thawed');
    await moment.cancel();
    expect(await readdir(guest.directory.state)).toEqual([]);
  });

  test('cancelled while frozen it is thawed', async () => {
    const moment = await source.prepare(request('r1', { quiesce: 'prefer' }));
    await moment.freeze();
    await moment.cancel();
    expect(await freezeStatus(guest)).toBe('thawed');
    expect(await readdir(guest.directory.state)).toEqual([]);
  });

  test('frozen by somebody else it is left as it is', async () => {
    await agent('guest-fsfreeze-freeze');
    const moment = await source.take(request('r1', { quiesce: 'prefer' }));
    expect(moment).toMatchObject({ consistency: 'crash', consistencyNote: expect.stringContaining('somebody else') });
    expect(await freezeStatus(guest)).toBe('frozen');
    await agent('guest-fsfreeze-thaw');
    await moment.end('abandoned');
  });

  test('frozen by somebody else after it was prepared it is left as it is, too', async () => {
    const moment = await source.prepare(request('r1', { quiesce: 'require' }));
    await agent('guest-fsfreeze-freeze');
    await expect(moment.freeze()).rejects.toThrow('guest-fsfreeze-freeze has been disabled');
    expect(await freezeStatus(guest)).toBe('frozen');
    await moment.cancel();
    expect(await freezeStatus(guest)).toBe('frozen');
    expect(await readdir(guest.directory.state)).toEqual([]);
    await agent('guest-fsfreeze-thaw');
  });

  test.each(['freeze', 'checkpoint'])(
    'an exporter that is killed after %s leaves a watchdog that thaws it',
    async (step) => {
      const entry = new URL('./dying-exporter.ts', import.meta.url).pathname;
      const args = [entry, JSON.stringify(guest.options()), 'r1', 'require', step];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      await once(child.stdout, 'data');
      expect(await freezeStatus(guest)).toBe('frozen');
      child.kill('SIGKILL');
      await until('thawed');
      await (await source.take(request('r2', { quiesce: 'require' }))).end('abandoned');
    },
  );

  test.each([0, 5, 10, 40])(
    'let go of twice at once while it is opened, its calls of libvirt killed after %i ms, nothing holds it when the first says so',
    async (wait) => {
      const held = createHeldServer(source);
      await held.prepare(request('r1', { quiesce: 'require' }));
      for (const step of ['freeze', 'checkpoint', 'thaw'] as const) await held.steps()[step]();
      const opening = held.open().catch(() => undefined);
      await sleep(wait);
      // As the end of a service does, to all of its processes.
      await promisify(execFile)('pkill', ['-TERM', '-P', String(process.pid), 'virsh']).catch(() => undefined);
      await Promise.race([held.letGo('undecided'), held.letGo('undecided')]);
      expect(await guest.virsh.run(['domjobinfo', guest.uuid])).toContain('None');
      await opening;
    },
  );

  test('a thaw that comes too late is not taken for a still guest', async () => {
    const hasty = guest.open({ watchdogMs: 500 });
    const moment = await hasty.prepare(request('r1', { quiesce: 'require' }));
    await moment.freeze();
    await until('thawed');
    await moment.checkpoint();
    await expect(moment.thaw()).rejects.toThrow('not frozen any more');
    await moment.cancel();
  });

  test('a scratch area that fills up stops it for a moment only: the backup is given up, and the guest goes on', async () => {
    const { enter } = await useHypervisor();
    const [program, ...more] = enter;
    const small = guest.directory.file('small');
    await mkdir(small);
    await guest.io(1, 'write -P 1 0 4M');
    // Where QEMU and the exporter see it.
    await promisify(execFile)(program, [...more, 'mount', '-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', small]);
    const options = guest.options({ scratchDirectory: small, scratchLowWater: 512 * 1024, scratchLookMs: 500 });
    const entry = new URL('./filling-exporter.ts', import.meta.url).pathname;
    const child = spawn(program, [...more, process.execPath, entry, JSON.stringify(options)]);
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (said += String(bytes)));
    while (!said.includes('held')) await sleep(50);
    const ended = once(child, 'exit');
    const arg = ['-c', 'dd if=/dev/zero of=/dev/vdb bs=1M count=4 oflag=direct conv=fsync && echo done > /dev/null'];
    const writing = JSON.parse(await agent('guest-exec', { path: '/bin/sh', arg })).return;
    await ended;
    expect(said).toContain('low-water mark');
    expect(said).toContain('ended');
    for (let status = { exited: false, exitcode: -1 }; !status.exited; await sleep(100)) {
      status = JSON.parse(await agent('guest-exec-status', writing)).return;
      if (status.exited) expect(status.exitcode).toBe(0);
    }
    expect(await guest.virsh.run(['domstate', guest.uuid])).toContain('running');
    expect(await guest.bitmaps()).toEqual([]);
  });

  async function until(status: string): Promise<void> {
    while ((await freezeStatus(guest)) !== status) await sleep(50);
  }
});
