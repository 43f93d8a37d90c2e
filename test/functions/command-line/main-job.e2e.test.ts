import { readdir, readFile, stat } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { type Desk, openDesk } from './ekko.ts';
import { range, writeImage } from './test-image.ts';

const MIB = 1024 ** 2;
let desk: Desk;

beforeAll(async () => {
  desk = await openDesk();
  await writeImage(desk.path('disk.img'), {
    size: 64 * MIB + 1000,
    segments: [...range(0, 80), ...range(500, 20), 1024],
  });
  await writeImage(desk.path('small.img'), { size: 3 * SEGMENT_SIZE, segments: [1] });
});
afterAll(() => desk.remove());

const json = async (...args: string[]) => {
  const { code, output, errors } = await desk.run([...args, '--json']);
  expect(errors).toBe('');
  return { code, document: JSON.parse(output) };
};

describe('from an image file to a vault and back', () => {
  test('init makes the key file and the vault', async () => {
    const { code, output, errors } = await desk.run(['init', 'vault', '--no-escrow']);
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    expect(output).toContain(`A new key was written to ${desk.path('key')}.`);
    expect(output).toContain(`The vault in file:${desk.path('vault')} is ready.`);
    expect(output).not.toContain('ekko-key-');
    expect((await stat(desk.path('key'))).mode & 0o777).toBe(0o600);
    expect(await readdir(desk.path('vault'))).toEqual(expect.arrayContaining(['journal', 'vault.json']));
  });

  test('init refuses a vault that is there', async () => {
    const before = await readFile(desk.path('vault/vault.json'));
    const { code, errors } = await desk.run(['init', 'vault', '--no-escrow']);
    expect({ code, errors }).toEqual({ code: 1, errors: expect.stringContaining('holds a vault already') });
    expect(await readFile(desk.path('vault/vault.json'))).toEqual(before);
  });

  test('backup says what it will read, and what came of it', async () => {
    const { code, output, errors } = await desk.run([
      'backup',
      'vault',
      'disk.img',
      'tiny=small.img',
      '--group',
      'web',
    ]);
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    expect(output).toMatch(/^Backing up 2 disks of group web:$/m);
    expect(output).toMatch(/^ {2}disk {3}64 MiB {2}6\.3 MiB to read \(full: the first backup of this disk\)$/m);
    expect(output).toMatch(/^Restore point \d{8}-\d{6}-[0-9a-f]{6} is committed\.$/m);
    expect(output).toMatch(/^ {2}read +6\.4 MiB in [\d.]+ s \(/m);
    expect(output).toMatch(/^ {2}consistency +crash consistent \(/m);
  });

  test('a second backup of the same finds nothing new', async () => {
    const { code, document } = await json('backup', 'vault', 'disk.img', '--group', 'web');
    expect(code).toBe(0);
    expect(document).toMatchObject({
      point: { group: 'web', disks: [{ name: 'disk', fullReason: 'no-bitmap-support', newBytes: 0, storedBytes: 0 }] },
      readBytes: 101 * SEGMENT_SIZE,
      requests: { create: expect.any(Number), get: expect.any(Number) },
    });
  });

  test('points lists both, oldest first', async () => {
    const { code, output } = await desk.run(['points', 'vault']);
    expect(code).toBe(0);
    const lines = output.split('\n');
    expect(lines[0]).toMatch(/^POINT +TAKEN +AGE +GROUP +DISKS +SIZE +CHANGED +STORED$/);
    expect(lines[1]).toMatch(/ web +disk, tiny +64\.2 MiB +6\.4 MiB +6\.\d MiB$/);
    expect(lines[2]).toMatch(/ web +disk +64 MiB +6\.3 MiB +0 B$/);
    const { document } = await json('points', 'vault');
    expect(document.points).toMatchObject([
      { disks: [{ name: 'disk' }, { name: 'tiny' }] },
      { disks: [{ size: 64 * MIB + 1000 }] },
    ]);
  });

  test('show tells all of one point', async () => {
    const { document } = await json('points', 'vault');
    const { code, output } = await desk.run(['show', 'vault', `${document.points[0].id}/tiny`]);
    expect(code).toBe(0);
    expect(output).toContain('Disk tiny');
    expect(output).not.toContain('Disk disk');
    expect(output).toMatch(/^ {2}manifest +[0-9a-f]{64}$/m);
  });

  test('restore gives back every byte, sparse', async () => {
    const { code, output, errors } = await desk.run(['restore', 'vault', 'latest', 'restored.raw']);
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    expect(output).toContain('Every segment was checked against its id.');
    const original = await readFile(desk.path('disk.img'));
    expect((await readFile(desk.path('restored.raw'))).equals(original)).toBe(true);
    expect((await stat(desk.path('restored.raw'))).blocks * 512).toBeLessThan(10 * MIB);
    expect(await readdir(desk.folder)).not.toContain('restored.raw.ekko-restore');
  });

  test('restore does not write over what is there unless told to', async () => {
    const refused = await desk.run(['restore', 'vault', 'latest/tiny', 'restored.raw']);
    expect({ code: refused.code, errors: refused.errors }).toEqual({
      code: 1,
      errors: expect.stringMatching(/^ekko: .*restored\.raw/),
    });
    const told = await desk.run(['restore', 'vault', 'latest/tiny', 'restored.raw', '--overwrite']);
    expect(told.code).toBe(0);
    const original = await readFile(desk.path('small.img'));
    expect((await readFile(desk.path('restored.raw'))).equals(original)).toBe(true);
  });

  test('restore of several disks fills a folder', async () => {
    const { document } = await json('points', 'vault');
    const { code, document: report } = await json('restore', 'vault', document.points[0].id, 'both/');
    expect(code).toBe(0);
    expect(report.disks).toMatchObject([
      { disk: 'disk', path: desk.path('both/disk.raw'), kind: 'raw', resumed: false, unreadable: [] },
      { disk: 'tiny', path: desk.path('both/tiny.raw') },
    ]);
    const original = await readFile(desk.path('disk.img'));
    expect((await readFile(desk.path('both/disk.raw'))).equals(original)).toBe(true);
  });

  test('doctor finds nothing wrong', async () => {
    const { code, output, errors } = await desk.run(['doctor', 'vault']);
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    expect(output).toMatch(/^ok +journal +whole: 14 entries, 2 restore points$/m);
    expect(output).toContain('Nothing is wrong.');
    expect(await readdir(desk.path('vault'))).not.toContain('probe');
  });

  test('verify finds all well, with and without the key', async () => {
    const { code, output } = await desk.run(['verify', 'vault']);
    expect({ code, output }).toEqual({
      code: 0,
      output: expect.stringMatching(/ 2 restore points in .*\nAll is well/),
    });
    const keyless = await desk.run(['verify', 'vault', '--keyless'], { keyFile: undefined });
    expect({ code: keyless.code, output: keyless.output }).toEqual({
      code: 0,
      output: expect.stringContaining('only the key'),
    });
    const { document } = await json('verify', 'vault');
    expect(document).toMatchObject({ points: 2, findings: [] });
  });

  test('nothing is left in staging', async () => {
    const folders = await readdir(desk.path('vault'));
    expect(folders.filter((name) => name === 'staging' || name === 'receipts')).toEqual([]);
  });
});

test('the version is that of the package', async () => {
  const { code, output } = await desk.run(['--version']);
  expect({ code, output }).toEqual({ code: 0, output: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
});
