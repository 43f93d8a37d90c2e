import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  blockdevArguments,
  makeDirectory,
  qemuImg,
  type RunningQemu,
  startQemu,
  type TestDirectory,
} from '../../host-exporter/changed-blocks/running-qemu.ts';
import { lacks } from '../../setup/cache.ts';
import { type Desk, openDesk, type Started } from './ekko.ts';

describe.skipIf(lacks('qemu'))('the disks of a running QEMU', () => {
  let desk: Desk;
  let directory: TestDirectory;
  let qemu: RunningQemu;

  beforeEach(async () => {
    [desk, directory] = [await openDesk(), await makeDirectory()];
    await desk.run(['init', 'vault', '--no-escrow']);
    for (const name of ['root', 'data'])
      await qemuImg('create', '-q', '-f', 'qcow2', directory.file(`${name}.qcow2`), '64M');
    qemu = await startQemu(
      directory,
      ['root', 'data'].flatMap((name) => blockdevArguments(name, directory.file(`${name}.qcow2`), 'qcow2')),
    );
    await qemu.io('root', 'write -P 0x11 1M 8M');
    await qemu.io('data', 'write -P 0x22 0 1M');
  });
  afterEach(async () => {
    await qemu.quit();
    await directory.remove();
    await desk.remove();
  });

  const guest = (...args: string[]) => [
    'backup',
    'vault',
    '--qmp',
    qemu.qmpSocket,
    '--scratch',
    directory.scratch,
    ...args,
  ];
  const restored = async (point: string) => {
    const { code } = await desk.run(['restore', 'vault', point, 'restored.raw', '--overwrite']);
    expect(code).toBe(0);
    return readFile(desk.path('restored.raw'));
  };

  test('are read whole the first time, and then only where they changed', async () => {
    const first = await desk.run(guest());
    expect({ code: first.code, errors: first.errors }).toEqual({ code: 0, errors: '' });
    expect(first.output).toMatch(/^ {2}root {2}64 MiB {2}8 MiB to read \(full: the first backup of this disk\)$/m);

    await qemu.io('root', 'write -P 0x33 2M 64k');
    const second = await desk.run(guest('--audit', '100'));
    expect({ code: second.code, errors: second.errors }).toEqual({ code: 0, errors: '' });
    expect(second.output).toMatch(
      /^ {2}root {2}64 MiB {2}64 KiB to read, 7\.9 MiB to audit \(incremental since \S+\)$/m,
    );
    expect(second.output).toMatch(/^ {2}data {2}64 MiB {2}0 B to read, 1 MiB to audit \(incremental since \S+\)$/m);
    expect(second.output).toMatch(/^ {2}bitmap audit {2}143 clean segments compared, all unchanged$/m);

    const image = await restored('latest/root');
    expect(image.subarray(2 * 1024 ** 2, 2 * 1024 ** 2 + 65_536).every((byte) => byte === 0x33)).toBe(true);
    expect(image[1024 ** 2]).toBe(0x11);
  });

  test('can be chosen and named', async () => {
    const { code, output } = await desk.run(guest('system=root', '--full', '--json'));
    expect(code).toBe(0);
    expect(JSON.parse(output).point.disks).toMatchObject([{ name: 'system', fullReason: 'asked-for' }]);
    const unknown = await desk.run(guest('swap'));
    expect({ code: unknown.code, errors: unknown.errors }).toEqual({
      code: 2,
      errors: expect.stringContaining('root'),
    });
  });

  test('are as before after an interruption: the next backup counts from the same point', async () => {
    expect((await desk.run(guest())).code).toBe(0);
    await qemu.io('root', 'write -P 0x44 16M 32M');
    const started: Started = desk.start(guest('--bandwidth', '8M'));
    if (started.child.stdout) await once(started.child.stdout, 'data');
    started.child.kill('SIGTERM');
    expect((await started.ended).code).toBe(130);

    const next = await desk.run(guest());
    expect({ code: next.code, errors: next.errors }).toEqual({ code: 0, errors: '' });
    expect(next.output).toMatch(/^ {2}root {2}64 MiB {2}32 MiB to read.* \(incremental since \S+\)$/m);
    const image = await restored('latest/root');
    expect(image.subarray(16 * 1024 ** 2, 48 * 1024 ** 2).every((byte) => byte === 0x44)).toBe(true);
  });

  test('are busy for a second backup, and the first one goes on', async () => {
    const started = desk.start(guest('--bandwidth', '800K'));
    if (started.child.stdout) await once(started.child.stdout, 'data');
    const second = await desk.run(guest());
    expect({ code: second.code, output: second.output }).toEqual({ code: 5, output: '' });
    expect((await started.ended).code).toBe(0);
  });
});
