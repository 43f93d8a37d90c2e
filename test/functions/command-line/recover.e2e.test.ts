import { execFile } from 'node:child_process';
import { copyFile, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { type Desk, openDesk } from './ekko.ts';
import { range, writeImage } from './test-image.ts';

const MIB = 1024 ** 2;
/** Two packs and a bit, with an end that is no whole segment. */
const SIZE = 160 * MIB - 1000;
const SEGMENTS = [...range(10, 1100), ...range(1400, 1160)];
let desk: Desk;

beforeEach(async () => {
  desk = await openDesk();
  await desk.run(['init', 'vault', '--no-escrow']);
  await writeImage(desk.path('disk.img'), { size: SIZE, segments: SEGMENTS });
  await backUp();
});
afterEach(() => desk.remove());

async function backUp(): Promise<void> {
  expect((await desk.run(['backup', 'vault', 'disk=disk.img'])).code).toBe(0);
}

async function copyAway(): Promise<void> {
  await desk.run(['init', 'far', '--no-escrow', '--key-file', 'far.key']);
  expect((await desk.run(['copy', 'vault', 'far', '--target-key-file', 'far.key'])).code).toBe(0);
}

const fromFar = ['--from', 'far', '--from-key-file', 'far.key'];

async function packs(vault = 'vault'): Promise<string[]> {
  const names = await readdir(desk.path(`${vault}/packs`), { recursive: true });
  const found = names.filter((name) => name.length > 10).sort();
  const sizes = await Promise.all(found.map(async (name) => (await stat(desk.path(`${vault}/packs/${name}`))).size));
  return found.toSorted((a, b) => (sizes[found.indexOf(b)] ?? 0) - (sizes[found.indexOf(a)] ?? 0));
}

async function flip(pack: string, ats: readonly number[]): Promise<void> {
  const path = desk.path(`vault/packs/${pack}`);
  const bytes = await readFile(path);
  for (const at of ats) bytes.writeUInt8((bytes[at] ?? 0) ^ 1, at);
  await rm(path);
  await writeFile(path, bytes);
}

/** Each fourth frame or so. */
async function flipFrames(pack: string): Promise<void> {
  const { size } = await stat(desk.path(`vault/packs/${pack}`));
  await flip(
    pack,
    range(1, 12).map((n) => Math.floor((size * n) / 13)),
  );
}

async function repair(args: readonly string[]) {
  const { code, output, errors } = await desk.run(['repair', 'vault', ...args, '--json']);
  return { code, errors, report: output === '' ? undefined : JSON.parse(output) };
}

async function expectWhole(): Promise<void> {
  const { code, errors } = await desk.run(['restore', 'vault', 'latest/disk', 'back.img', '--overwrite']);
  expect({ code, errors }).toMatchObject({ code: 0 });
  expect((await readFile(desk.path('back.img'))).equals(await readFile(desk.path('disk.img')))).toBe(true);
  expect((await desk.run(['sweep', 'vault'])).code).toBe(0);
  const verified = await desk.run(['verify', 'vault']);
  expect(verified).toMatchObject({ code: 0 });
}

async function writeAt(path: string, bytes: Uint8Array, offset: number): Promise<void> {
  const file = await open(desk.path(path), 'r+');
  await file.write(bytes, 0, undefined, offset);
  await file.close();
}

async function movesOf(): Promise<string[]> {
  const names = await readdir(desk.path('vault/moves'), { recursive: true }).catch((): string[] => []);
  return names.filter((name) => name.length > 10);
}

describe('a pack with flipped frames', () => {
  test('is recovered from a copy under another key, and every point is whole again', async () => {
    await copyAway();
    const [pack = ''] = await packs();
    await flipFrames(pack);
    const rehearsal = await repair([...fromFar, '--dry-run']);
    expect(rehearsal.report.packs).toMatchObject([{ key: `packs/${pack}`, outcome: 'recovered' }]);
    expect([rehearsal.code, await movesOf()]).toEqual([3, []]);
    const { code, report } = await repair(fromFar);
    expect({ code, report }).toMatchObject({
      code: 0,
      report: { findings: [], packs: [{ key: `packs/${pack}`, outcome: 'recovered', vouched: 0 }] },
    });
    const [{ kept, found, needed }] = report.packs;
    expect([kept > 100, found > 100, kept + found]).toEqual([true, true, needed]);
    await expectWhole();
  });

  test.each(['raw', 'qcow2'] as const)('is recovered from the disk in %s, where it is as it was', async (format) => {
    const [pack = ''] = await packs();
    await flipFrames(pack);
    if (format === 'raw') await copyFile(desk.path('disk.img'), desk.path('now'));
    else await promisify(execFile)('qemu-img', ['convert', '-O', 'qcow2', desk.path('disk.img'), desk.path('now')]);
    const { code, report } = await repair(['--from-disk', 'disk=now']);
    expect({ code, report }).toMatchObject({ code: 0, report: { findings: [], packs: [{ outcome: 'recovered' }] } });
    await expectWhole();
  });

  test('is recovered as far as the disk has not changed, and best effort names the rest', async () => {
    const [pack = ''] = await packs();
    await flipFrames(pack);
    await copyFile(desk.path('disk.img'), desk.path('now'));
    await truncate(desk.path('now'), 40 * MIB);
    await writeAt('now', Buffer.alloc(MIB, 7), 8 * MIB);
    const { code, report } = await repair(['--from-disk', 'disk=now']);
    expect({ code, report }).toMatchObject({
      code: 3,
      report: { packs: [{ key: `packs/${pack}`, outcome: 'partly' }] },
    });
    expect(report.findings).toMatchObject([{ object: `packs/${pack}` }]);
    const best = await desk.run(['restore', 'vault', 'latest/disk', 'best.img', '--best-effort', '--json']);
    expect(best.code).toBe(3);
    const { unreadable } = JSON.parse(best.output).disks[0];
    expect(unreadable.every(({ object }: { object: string }) => object === `packs/${pack}`)).toBe(true);
    const [restored, disk] = [await readFile(desk.path('best.img')), await readFile(desk.path('disk.img'))];
    for (const { offset, length } of unreadable) disk.copy(restored, offset, offset, offset + length);
    expect(restored.equals(disk)).toBe(true);
    const lost = unreadable.reduce(
      (sum: number, { length }: { length: number }) => sum + Math.ceil(length / SEGMENT_SIZE),
      0,
    );
    expect(report.packs[0].lost.reduce((sum: number, { count }: { count: number }) => sum + count, 0)).toBe(lost);
  });
});

describe('a pack that is gone', () => {
  test('is recovered from a copy, which alone vouches for it', async () => {
    await copyAway();
    const [first = '', second = ''] = await packs();
    await rm(desk.path(`vault/packs/${first}`));
    await writeFile(desk.path(`vault/packs/${second}`), 'rubbish');
    const { code, report } = await repair(fromFar);
    expect({ code, report }).toMatchObject({ code: 0, report: { findings: [] } });
    for (const { found, vouched, needed } of report.packs) expect([found, vouched]).toEqual([needed, needed]);
    await expectWhole();
  });

  test('is not made up from a disk: nothing tells what was in it', async () => {
    const [pack = ''] = await packs();
    await rm(desk.path(`vault/packs/${pack}`));
    const { code, report } = await repair(['--from-disk', 'disk=disk.img']);
    expect({ code, report }).toMatchObject({ code: 3, report: { packs: [{ outcome: 'lost', found: 0 }] } });
    expect(await movesOf()).toEqual([]);
  });
});

test('packs that were moved are followed, whatever repairs the vault', async () => {
  await desk.run(['copy', 'vault', 'replica', '--as-is']);
  await copyAway();
  await flipFrames((await packs())[0] ?? '');
  expect((await repair(fromFar)).code).toBe(0);
  expect((await desk.run(['sweep', 'vault'])).code).toBe(0);
  const { code, report } = await repair(['--from', 'replica']);
  expect({ code, report }).toMatchObject({ code: 0, report: { findings: [], objects: [] } });
  await flipFrames((await packs())[0] ?? '');
  const again = await repair(['--from-disk', 'disk=disk.img']);
  expect(again).toMatchObject({ code: 0, report: { findings: [] } });
  await expectWhole();
});

test('a source that lies makes nothing worse', async () => {
  const [pack = ''] = await packs();
  await flipFrames(pack);
  await writeImage(desk.path('lies.img'), { size: SIZE, segments: SEGMENTS });
  const before = await desk.run(['restore', 'vault', 'latest/disk', 'before.img', '--best-effort']);
  const { code, report } = await repair(['--from-disk', 'disk=lies.img']);
  expect({ code, report }).toMatchObject({ code: 3, report: { packs: [{ found: 0 }] } });
  const after = await desk.run(['restore', 'vault', 'latest/disk', 'after.img', '--best-effort']);
  expect([before.code, after.code]).toEqual([3, 3]);
  expect((await readFile(desk.path('after.img'))).equals(await readFile(desk.path('before.img')))).toBe(true);
});

test('a repair that is killed is finished by the next one', async () => {
  await copyAway();
  for (const pack of await packs()) await flipFrames(pack);
  for (const milliseconds of [700, 1000, 1300, 1700, 2200]) {
    const { child, ended } = desk.start(['repair', 'vault', ...fromFar]);
    await Promise.race([ended, sleep(milliseconds)]);
    child.kill('SIGKILL');
    await ended;
  }
  expect(await repair(fromFar)).toMatchObject({ code: 0, report: { findings: [] } });
  await expectWhole();
});

test('what cannot be meant is refused', async () => {
  await desk.run(['init', 'other', '--no-escrow']);
  const cases = [
    [['repair', 'vault'], '--from-disk'],
    [['repair', 'vault', '--from', 'other'], 'no copies'],
    [['repair', 'vault', '--from-disk', 'disk.img'], 'NAME='],
    [['repair', 'vault', '--from-disk', 'disk=nowhere.img'], 'nowhere.img'],
    [['repair', 'vault', '--from-disk', 'disk=disk.img', '--format', 'vmdk'], '--format'],
  ] as const;
  for (const [args, words] of cases) {
    const { code, errors } = await desk.run([...args]);
    expect({ args, code: code === 0, errors }).toEqual({ args, code: false, errors: expect.stringContaining(words) });
  }
});
