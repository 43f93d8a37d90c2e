import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Desk, openDesk } from './ekko.ts';
import { range, writeImage } from './test-image.ts';

const MIB = 1024 ** 2;
let desk: Desk;

beforeEach(async () => {
  desk = await openDesk();
  await desk.run(['init', 'vault', '--no-escrow']);
  await writeImage(desk.path('disk.img'), { size: 60 * MIB, segments: range(100, 800) });
  await desk.run(['backup', 'vault', 'disk.img']);
});
afterEach(() => desk.remove());

async function expectRestored(vault: string, image: string, keyFile = 'key'): Promise<void> {
  const { code, errors } = await desk.run(['restore', vault, 'latest/disk', 'back.img', '--overwrite'], { keyFile });
  expect({ code, errors }).toMatchObject({ code: 0 });
  expect((await readFile(desk.path('back.img'))).equals(await readFile(desk.path(image)))).toBe(true);
}

test('points are copied to a vault of another key, and restored from there when the first vault is gone', async () => {
  await desk.run(['init', 'far', '--no-escrow', '--key-file', 'far.key']);
  const copy = ['copy', 'vault', 'far', '--target-key-file', 'far.key', '--json'];
  const first = await desk.run(copy);
  expect({ code: first.code, errors: first.errors }).toEqual({ code: 0, errors: '' });
  expect(JSON.parse(first.output).points).toMatchObject([{ outcome: 'copied', readBytes: 800 * 65_536 }]);
  await writeImage(desk.path('disk.img'), { size: 60 * MIB, segments: range(100, 800) });
  await desk.run(['backup', 'vault', 'disk.img']);
  expect(JSON.parse((await desk.run([...copy, '--dry-run'])).output).points).toMatchObject([{ outcome: 'wanted' }]);
  expect(JSON.parse((await desk.run(copy)).output).points).toHaveLength(1);
  expect((await desk.run(copy)).output).toContain('"points": []');
  await rm(desk.path('vault'), { recursive: true });
  await expectRestored('far', 'disk.img', 'far.key');
});

test('a replica is opened by the same key, repairs the vault, and stands in for it', async () => {
  expect((await desk.run(['copy', 'vault', 'replica', '--as-is'], { keyFile: undefined })).code).toBe(0);
  const packs = (await readdir(desk.path('vault/packs'), { recursive: true })).filter((name) => name.length > 10);
  await rm(desk.path(`vault/packs/${packs[0]}`));
  await rm(desk.path(`vault/packs/${packs[1]}`));
  await writeFile(desk.path(`vault/packs/${packs[1]}`), 'rubbish');
  const rehearsal = await desk.run(['repair', 'vault', '--from', 'replica', '--dry-run']);
  expect(rehearsal).toMatchObject({ code: 3, output: expect.stringContaining(`could be    packs/${packs[0]}`) });
  expect((await desk.run(['verify', 'vault'])).code).toBe(3);
  const { code, output } = await desk.run(['repair', 'vault', '--from', 'replica']);
  expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining(`put back    packs/${packs[1]}`) });
  expect((await desk.run(['verify', 'vault'])).code).toBe(0);
  await expectRestored('vault', 'disk.img');
  await rm(desk.path('vault'), { recursive: true });
  await expectRestored('replica', 'disk.img');
  expect((await desk.run(['backup', 'replica', 'disk.img'])).code).toBe(0);
});

test('points that are copied in one go are read once, and then what changed', async () => {
  await desk.run(['init', 'far', '--no-escrow', '--key-file', 'far.key']);
  const image = await readFile(desk.path('disk.img'));
  await writeFile(desk.path('disk.img'), image.fill(7, 200 * 65_536, 202 * 65_536));
  await desk.run(['backup', 'vault', 'disk.img']);
  const { output } = await desk.run(['copy', 'vault', 'far', '--target-key-file', 'far.key', '--json']);
  expect(JSON.parse(output).points).toMatchObject([{ readBytes: 800 * 65_536 }, { readBytes: 2 * 65_536 }]);
  await expectRestored('far', 'disk.img', 'far.key');
});

test('only what retention rules would keep is copied', async () => {
  await desk.run(['init', 'far', '--no-escrow', '--key-file', 'far.key']);
  for (let i = 0; i < 2; i++) await desk.run(['backup', 'vault', 'disk.img']);
  const { points } = JSON.parse((await desk.run(['points', 'vault', '--json'])).output);
  const copy = ['copy', 'vault', 'far', '--target-key-file', 'far.key', '--json', '--only'];
  const runs = async (rules: string) => {
    const { output } = await desk.run([...copy, rules, '--dry-run']);
    return JSON.parse(output).points.map(({ run }: { run: string }) => run);
  };
  expect(points).toHaveLength(3);
  expect((await runs('last=2')).length).toBe(2);
  expect(await runs('yearly=1,zone=UTC')).toEqual([(await runs('last=1'))[0]]);
  expect((await desk.run([...copy, 'last=1'])).code).toBe(0);
  expect(JSON.parse((await desk.run(['points', 'far', '--json', '--key-file', 'far.key'])).output).points).toHaveLength(
    1,
  );
});

test('what cannot be meant is refused', async () => {
  await desk.run(['init', 'other', '--no-escrow', '--key-file', 'other.key']);
  await desk.run(['copy', 'vault', 'replica', '--as-is']);
  const cases = [
    [['copy', 'vault', 'nowhere'], 'Make one with `ekko init`.'],
    [['copy', 'vault', 'vault'], 'the same vault'],
    [['copy', 'vault', 'replica'], 'kept up by --as-is'],
    [['copy', 'vault', 'other', '--as-is'], 'holds another vault'],
    [['copy', 'vault', 'other'], 'other'],
    [['copy', 'nowhere', 'empty', '--as-is'], 'nowhere'],
    [['repair', 'vault', '--from', 'other', '--from-key-file', 'other.key'], 'no copies'],
    [['copy', 'vault', 'other', '--last', '0'], '--last'],
    [['copy', 'vault', 'empty', '--as-is', '--only', 'daily=1'], '--only'],
    [['copy', 'vault', 'other', '--target-key-file', 'other.key', '--only', 'sometimes=1'], 'sometimes'],
  ] as const;
  for (const [args, words] of cases) {
    const { code, errors } = await desk.run([...args]);
    expect({ args, code: code === 0, errors }).toEqual({ args, code: false, errors: expect.stringContaining(words) });
  }
});

/** Parts of the copies under way that are done. */
async function receipts(): Promise<number> {
  const names = await readdir(desk.path('far/receipts'), { recursive: true }).catch(() => []);
  return names.filter((name) => /\d{8}$/.test(name)).length;
}

test('a copy that is killed is gone on with by the next one: it reads only what is not done', async () => {
  await writeImage(desk.path('disk.img'), { size: 200 * MIB, segments: range(0, 3000) });
  await desk.run(['backup', 'vault', 'disk.img']);
  await desk.run(['init', 'far', '--no-escrow', '--key-file', 'far.key']);
  const copy = ['copy', 'vault', 'far', '--target-key-file', 'far.key', '--last', '1', '--json'];
  for (const parts of [1, 3, 5]) {
    // So slow that it cannot end before it is killed.
    const { child, ended } = desk.start([...copy, '--bandwidth', '50M']);
    while ((await receipts()) < parts && child.exitCode === null) await pause(5);
    child.kill('SIGKILL');
    expect((await ended).code).toBe(null);
  }
  const done = await receipts();
  const { code, output } = await desk.run(copy);
  expect(code).toBe(0);
  expect(JSON.parse(output).points).toMatchObject([{ outcome: 'copied', readBytes: (3000 - done * 384) * 65_536 }]);
  await expectRestored('far', 'disk.img', 'far.key');
  expect((await desk.run(['verify', 'far'], { keyFile: 'far.key' })).code).toBe(0);
});

test('a replica whose making is killed is made whole by the next one', async () => {
  for (const milliseconds of [250, 350, 450]) {
    const { child, ended } = desk.start(['copy', 'vault', 'replica', '--as-is']);
    setTimeout(() => child.kill('SIGKILL'), milliseconds);
    await ended;
  }
  expect((await desk.run(['copy', 'vault', 'replica', '--as-is'])).code).toBe(0);
  await expectRestored('replica', 'disk.img');
  expect((await desk.run(['verify', 'replica'])).code).toBe(0);
});
