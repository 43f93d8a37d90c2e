import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { buildExporter } from '../../../host-exporter/build.ts';
import { freePort } from '../../cloud/service.ts';
import { restored } from '../../restored.ts';
import { lacks } from '../../setup/cache.ts';
import { bootGuest, freezeStatus } from '../libvirt/booted-guest.ts';
import type { LibvirtGuest } from '../libvirt/libvirt-guest.ts';
import { clientOf, type ExporterClient, writeSettings } from './exporter-fixture.ts';
import { type StubCloud, startStubCloud } from './stub-cloud.ts';

const MIB = 1024 * 1024;

describe.skipIf(lacks('libvirt', 'guest'))('the executable', () => {
  let folder: string;
  let executable: string;
  let guest: LibvirtGuest;
  let cloud: StubCloud;
  let child: ChildProcess;
  let exporter: ExporterClient;
  let disk: string;
  /** What the guest's disk holds. */
  const content = Buffer.alloc(4 * MIB);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ekko-'));
    executable = join(folder, 'ekko-exporter');
    [guest] = await Promise.all([bootGuest(), buildExporter(executable)]);
    cloud = await startStubCloud(folder);
    cloud.quiesce.mode = 'require';
    disk = `${guest.uuid}/vdb`;
  });

  afterAll(async () => {
    await cloud?.close();
    await guest?.remove();
    await rm(folder, { recursive: true, force: true });
  });

  afterEach(async () => {
    if (child?.exitCode === null && child.signalCode === null) await stop('SIGTERM');
  });

  async function start(): Promise<void> {
    const port = await freePort();
    // No Node on its path, and nothing of this checkout.
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
    const args = ['--settings', await writeSettings(guest, cloud, port)];
    // With no more rights than its unit gives.
    const rights = ['--bounding-set', '-all,+dac_override', '--inh-caps', '-all', '--no-new-privs'];
    child = spawn('/usr/bin/setpriv', [...rights, executable, ...args], {
      env,
      cwd: '/',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout?.on('data', (bytes) => (said += String(bytes)));
    while (!said.includes('Listening')) {
      if (child.exitCode !== null) throw new Error(`It ended: ${said}`);
      await sleep(20);
    }
    exporter = clientOf(guest, cloud, `http://127.0.0.1:${port}`);
  }

  async function stop(signal: NodeJS.Signals): Promise<void> {
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  async function write(offset: number, byte: number): Promise<void> {
    await guest.io(1, `write -P ${byte} ${offset} 64k`);
    content.fill(byte, offset, offset + 65_536);
  }

  /** Backs up to the end, and compares what would be restored. */
  async function backUp(): Promise<number> {
    const run = await cloud.newRun([disk]);
    const report = await exporter.stage(run);
    expect(report.consistency).toBe('file-system');
    await cloud.commit(run);
    expect((await exporter.end(run, 'committed')).status).toBe(200);
    expect((await restored(cloud.vault, run)).equals(content)).toBe(true);
    expect(await guest.bitmaps()).toEqual([`disk1.qcow2 ekko-${run}`]);
    return report.disks[0]?.bytesTotal ?? 0;
  }

  test('says its version, and what is wrong with its settings', async () => {
    const run = promisify(execFile);
    expect((await run(executable, ['--version'])).stdout).toMatch(/^ekko-exporter \d+\.\d+\.\d+\n$/);
    const wrong = run(executable, ['--settings', '/nowhere']);
    await expect(wrong).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('/nowhere cannot be read') });
  });

  test('backs up a guest; idle it takes less than 120 MiB', async () => {
    await start();
    const status = await readFile(`/proc/${child.pid}/status`, 'latin1');
    expect(Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1])).toBeLessThan(120 * 1024);
    await write(0, 0x11);
    expect(await backUp()).toBe(65_536);
    await write(MIB, 0x22);
    expect(await backUp()).toBe(65_536);
  });

  test.each(['', 'freeze', 'checkpoint', 'thaw', 'export', 'staged'] as const)(
    'killed after "%s": the guest is thawed, the next one says what became of the run, and no change is lost',
    async (last) => {
      await start();
      await write(2 * MIB, 0x30 + last.length);
      const run = await cloud.newRun([disk]);
      cloud.stalled = last === 'export';
      for (const step of ['', 'freeze', 'checkpoint', 'thaw', 'export'] as const) {
        await exporter.step(run, step);
        if (step === last) break;
      }
      if (last === 'staged') await exporter.until(run, 'staged');
      await stop('SIGKILL');
      cloud.stalled = false;
      await write(3 * MIB, 0x40 + last.length);
      await start();
      expect(await freezeStatus(guest)).toBe('thawed');
      expect(await guest.virsh.run(['domjobinfo', guest.uuid])).toContain('None');
      const { json } = await exporter.call('GET', `/v1/runs/${run}/servers/${guest.uuid}`);
      expect(json.state).toBe(last === 'staged' ? 'staged' : 'failed');
      await cloud.abandon(run);
      expect((await exporter.end(run, 'abandoned')).status).toBe(200);
      expect(await backUp()).toBe(2 * 65_536);
    },
  );

  test('a run that was staged before the exporter died is committed after it', async () => {
    await start();
    await write(0, 0x55);
    const run = await cloud.newRun([disk]);
    await exporter.stage(run);
    await stop('SIGKILL');
    await start();
    await write(MIB, 0x56);
    await cloud.commit(run);
    expect((await exporter.end(run, 'committed')).status).toBe(200);
    expect(await guest.bitmaps()).toEqual([`disk1.qcow2 ekko-${run}`]);
    expect(await backUp()).toBe(65_536);
  });

  test('asked to end while it holds a guest, it lets go first', async () => {
    await start();
    const run = await cloud.newRun([disk]);
    for (const step of ['', 'freeze', 'checkpoint', 'thaw'] as const) await exporter.step(run, step);
    await stop('SIGTERM');
    expect(await guest.virsh.run(['domjobinfo', guest.uuid])).toContain('None');
    await cloud.abandon(run);
    await start();
    expect(await backUp()).toBe(0);
  });
});
