import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Desk, openDesk, type Started } from './ekko.ts';
import { range, writeImage } from './test-image.ts';

const MIB = 1024 ** 2;
let desk: Desk;

beforeEach(async () => {
  desk = await openDesk();
  await desk.run(['init', 'vault', '--no-escrow']);
  await writeImage(desk.path('disk.img'), { size: 24 * MIB, segments: range(0, 384) });
});
afterEach(() => desk.remove());

const points = async () => JSON.parse((await desk.run(['points', 'vault', '--json'])).output).points.length as number;
const restoresWell = async () => {
  await rm(desk.path('restored.raw'), { force: true });
  const { code } = await desk.run(['restore', 'vault', 'latest', 'restored.raw']);
  expect(code).toBe(0);
  return (await readFile(desk.path('restored.raw'))).equals(await readFile(desk.path('disk.img')));
};
/** A backup that lasts some seconds. */
const slowBackup = () => desk.start(['backup', 'vault', 'disk.img', '--bandwidth', '8M']);
const untilItReads = async ({ child }: Started) => {
  if (child.stdout) await once(child.stdout, 'data');
};
const untilItStaged = async () => {
  for (let tries = 0; tries < 200; tries++) {
    const found = await readdir(desk.path('vault'), { recursive: true });
    if (found.some((name) => name.startsWith('journal/') && name.endsWith('3'))) return;
    await pause(50);
  }
};

describe('a backup that is cut off', () => {
  test('by a signal ends with 130, leaves nothing behind, and the next one works', async () => {
    const started = slowBackup();
    await untilItReads(started);
    started.child.kill('SIGINT');
    const { code, errors } = await started.ended;
    expect(code).toBe(130);
    expect(errors).toContain('ekko: Interrupted by SIGINT; nothing is lost.');
    expect(await readdir(desk.path('vault'))).not.toContain('staging');
    expect((await desk.run(['doctor', 'vault'])).output).toMatch(/^ok +open runs +none$/m);
    expect(await points()).toBe(0);
    expect((await desk.run(['backup', 'vault', 'disk.img'])).code).toBe(0);
    expect(await restoresWell()).toBe(true);
  });

  test('by a kill is seen by doctor, and cleared away by the next one', async () => {
    const started = slowBackup();
    await untilItStaged();
    started.child.kill('SIGKILL');
    await started.ended;
    const doctor = await desk.run(['doctor', 'vault']);
    expect({ code: doctor.code, output: doctor.output }).toEqual({
      code: 0,
      output: expect.stringMatching(/^note +open run +.*: its process is gone$/m),
    });
    expect((await desk.run(['backup', 'vault', 'disk.img'])).code).toBe(0);
    expect((await desk.run(['doctor', 'vault'])).output).toMatch(/^ok +open runs +none$/m);
    expect(await readdir(desk.path('vault'))).not.toContain('staging');
    expect(await restoresWell()).toBe(true);
  });
});

test('a reader that goes away does not end a backup', async () => {
  const { child, ended } = slowBackup();
  ended.catch(() => undefined);
  if (child.stdout) await once(child.stdout, 'data');
  child.stdout?.destroy();
  child.stderr?.destroy();
  await once(child, 'exit');
  expect(child.exitCode).toBe(0);
  expect(await points()).toBe(1);
});

test('two backups of one file at once lose nothing', async () => {
  const both = [desk.start(['backup', 'vault', 'disk.img']), desk.start(['backup', 'vault', 'disk.img'])];
  const codes = (await Promise.all(both.map(({ ended }) => ended))).map(({ code }) => code);
  expect(codes).toContain(0);
  for (const code of codes) expect([0, 5]).toContain(code);
  expect(await points()).toBe(codes.filter((code) => code === 0).length);
  expect(await restoresWell()).toBe(true);
});

describe('a name', () => {
  test.each([
    ['a folder', '..=disk.img'],
    ['two lines', 'a\nb=disk.img'],
    ['10,000 characters', `${'x'.repeat(10_000)}=disk.img`],
    ['a path', 'a/../b=disk.img'],
    ['a file that is not there', 'x=nowhere.img'],
  ])('that is %s is refused before anything happens', async (_, argument) => {
    const { code, output, errors } = await desk.run(['backup', 'vault', argument]);
    expect({ code, output }).toEqual({ code: 2, output: '' });
    expect(errors).toMatch(/^ekko: [^\n]+\n$/);
    expect(errors.length).toBeLessThan(400);
  });

  test('that two disks share is refused', async () => {
    await cp(desk.path('disk.img'), desk.path('copy.img'));
    expect((await desk.run(['backup', 'vault', 'a=disk.img', 'a=copy.img'])).code).toBe(2);
  });
});

describe.skipIf(process.getuid?.() !== 0)('a vault on a full file system', () => {
  const mount = (size: string) =>
    promisify(execFile)('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', desk.path('full')]);

  beforeEach(async (context) => {
    await mkdir(desk.path('full'));
    // A container may be root without the right to mount.
    await mount('16m').catch(() => context.skip());
  });
  afterEach(() => promisify(execFile)('umount', [desk.path('full')]).catch(() => undefined));

  test('refuses a backup, loses nothing, and takes the next one that fits', async () => {
    await writeImage(desk.path('small.img'), { size: 2 * MIB, segments: range(0, 32) });
    expect((await desk.run(['init', 'full/vault', '--no-escrow'])).code).toBe(0);
    expect((await desk.run(['backup', 'full/vault', 'small.img'])).code).toBe(0);

    const { code, errors } = await desk.run(['backup', 'full/vault', 'disk.img']);
    expect({ code, errors }).toEqual({ code: 1, errors: expect.stringContaining('ENOSPC') });

    const again = await desk.run(['backup', 'full/vault', 'small.img']);
    expect({ code: again.code, errors: again.errors }).toEqual({ code: 0, errors: '' });
    expect((await desk.run(['restore', 'full/vault', 'latest', 'r.raw'])).code).toBe(0);
    expect((await readFile(desk.path('r.raw'))).equals(await readFile(desk.path('small.img')))).toBe(true);
  });
});
