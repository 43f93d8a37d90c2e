import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Desk, openDesk } from './ekko.ts';
import { range, writeImage } from './test-image.ts';

const MIB = 1024 ** 2;
let desk: Desk;

beforeEach(async () => {
  desk = await openDesk();
  await desk.run(['init', 'vault', '--no-escrow']);
  await writeImage(desk.path('disk.img'), { size: 24 * MIB, segments: range(0, 384) });
});
afterEach(() => desk.remove());

describe('what is no vault', () => {
  test('is an empty folder', async () => {
    await mkdir(desk.path('empty'));
    const { code, errors } = await desk.run(['points', 'empty']);
    expect({ code, errors }).toEqual({ code: 1, errors: expect.stringContaining('Make one with `ekko init`.') });
  });

  test('is one of format 2', async () => {
    const description = JSON.parse(await readFile(desk.path('vault/vault.json'), 'utf8'));
    await chmod(desk.path('vault/vault.json'), 0o600);
    await writeFile(desk.path('vault/vault.json'), JSON.stringify({ ...description, format: 2 }));
    const { code, errors } = await desk.run(['points', 'vault']);
    expect({ code, errors }).toEqual({
      code: 1,
      errors: expect.stringContaining('is of vault format 2; this Ekko reads format 1'),
    });
    const doctor = await desk.run(['doctor', 'vault']);
    expect({ code: doctor.code, output: doctor.output }).toEqual({
      code: 3,
      output: expect.stringMatching(/^BAD +vault\.json/m),
    });
  });

  test('is one whose journal has a gap', async () => {
    await desk.run(['backup', 'vault', 'disk.img']);
    await rm(desk.path(`vault/journal/${'3'.padStart(20, '0')}`));
    const { code, output } = await desk.run(['doctor', 'vault', '--json']);
    expect(code).toBe(3);
    const { findings } = JSON.parse(output);
    expect(findings).toContainEqual(
      expect.objectContaining({ subject: 'key', verdict: 'wrong', found: expect.stringContaining('gap') }),
    );
  });

  test.each([['ftp://host/vault'], ['s3:/bucket'], ['']])('is %j', async (url) => {
    expect((await desk.run(['points', url])).code).toBe(2);
  });
});

describe('damage', () => {
  /** Zeros in the middle of a pack; returns its key less `packs/`. */
  const damagePack = async () => {
    const packs = (await readdir(desk.path('vault/packs'), { recursive: true })).filter((name) => name.length > 10);
    const pack = desk.path(`vault/packs/${packs[0]}`);
    await chmod(pack, 0o600);
    const bytes = await readFile(pack);
    await writeFile(pack, bytes.fill(0, 1_000_000, 1_000_100));
    return packs[0] ?? '';
  };

  test('is found by verify, which says what it costs and what to do', async () => {
    await desk.run(['backup', 'vault', 'disk.img']);
    const pack = await damagePack();
    const { code, output } = await desk.run(['verify', 'vault']);
    expect(code).toBe(3);
    expect(output).toContain('1 object is damaged or missing:');
    expect(output).toContain(`\npacks/${pack}\n`);
    expect(output).toMatch(/^ {2}costs {2}1 MiB of \d{8}-\d{6}-[0-9a-f]{6}\/disk, from byte \d+ on$/m);
    expect(output).toMatch(/^ {2}to do {2}Repair the vault from a replica, a copy, or the disk/m);
    const keyless = await desk.run(['verify', 'vault', '--keyless', '--json'], { keyFile: undefined });
    expect(keyless.code).toBe(3);
    expect(JSON.parse(keyless.output).findings).toMatchObject([{ object: `packs/${pack}`, problem: 'damaged' }]);
  });

  test('stops a restore by name, and best effort writes the rest and ends with 3', async () => {
    await desk.run(['backup', 'vault', 'disk.img']);
    const pack = await damagePack();

    const strict = await desk.run(['restore', 'vault', 'latest', 'strict.raw']);
    expect({ code: strict.code, errors: strict.errors }).toEqual({
      code: 1,
      errors: expect.stringContaining(pack),
    });

    const best = await desk.run(['restore', 'vault', 'latest', 'best.raw', '--best-effort']);
    expect(best.code).toBe(3);
    expect(best.output).toMatch(/^ {2}NOT INTACT +\d.* zeros now in their place$/m);
    expect(best.output).toContain(pack);
    const document = JSON.parse(
      (await desk.run(['restore', 'vault', 'latest', 'again.raw', '--best-effort', '--json'])).output,
    );
    const { unreadable } = document.disks[0];
    const restored = await readFile(desk.path('again.raw'));
    for (const { offset, length } of unreadable) restored.set(await sliceOf('disk.img', offset, length), offset);
    expect(restored.equals(await readFile(desk.path('disk.img')))).toBe(true);
  });

  test('of one point leaves the list of the others readable', async () => {
    await desk.run(['backup', 'vault', 'disk.img']);
    await rm(desk.path('vault/points'), { recursive: true });
    const { code, output } = await desk.run(['points', 'vault']);
    expect({ code, output }).toEqual({ code: 3, output: expect.stringMatching(/^\S+ is damaged: .*is missing/m) });
  });
});

async function sliceOf(name: string, offset: number, length: number): Promise<Buffer> {
  return (await readFile(desk.path(name))).subarray(offset, offset + length);
}
