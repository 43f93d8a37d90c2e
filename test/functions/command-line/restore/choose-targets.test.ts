import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PointDisk } from '#vault/format/point.ts';
import { chooseTargets, fileNameOf } from '../../../../functions/command-line/restore/choose-targets.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-targets-'));
});
afterEach(() => rm(folder, { recursive: true }));

const disks = (...names: string[]) => names.map((name) => ({ name }) as PointDisk);
const choose = async (names: string[], target: string, format?: 'raw' | 'qcow2') =>
  (await chooseTargets(disks(...names), join(folder, target), format)).map(({ kind, path }) => [
    kind,
    path.slice(folder.length + 1),
  ]);

describe('one disk', () => {
  test.each([
    ['r.raw', undefined, ['raw', 'r.raw']],
    ['r.QCOW2', undefined, ['qcow2', 'r.QCOW2']],
    ['r.qcow2', 'raw', ['raw', 'r.qcow2']],
    ['r.img', 'qcow2', ['qcow2', 'r.img']],
  ] as const)('to %s with format %s goes to %j', async (target, format, expected) => {
    expect(await choose(['root'], target, format)).toEqual([expected]);
  });

  test('goes into a folder under its own name', async () => {
    await mkdir(join(folder, 'there'));
    expect(await choose(['root'], 'there')).toEqual([['raw', 'there/root.raw']]);
    const [target] = await chooseTargets(disks('root'), `${folder}/new/`, 'qcow2');
    expect(target?.path).toBe(join(folder, 'new/root.qcow2'));
  });
});

describe('several disks', () => {
  test('go into a folder, which is made', async () => {
    expect(await choose(['root', 'data'], 'a/b')).toEqual([
      ['raw', 'a/b/root.raw'],
      ['raw', 'a/b/data.raw'],
    ]);
  });

  test('do not go into a file', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(choose(['root', 'data'], 'file')).rejects.toMatchObject({ code: 'bad-input' });
  });
});

describe('the name of a file', () => {
  test.each([
    ['root', 'root'],
    ['../../etc/passwd', '%2E.%2F..%2Fetc%2Fpasswd'],
    ['..', '%2E.'],
    ['.bashrc', '%2Ebashrc'],
    ['-rf', '%2Drf'],
    ['a\nb', 'a%0Ab'],
    ['größe', 'gr%C3%B6%C3%9Fe'],
    ['100%', '100%25'],
  ])('of %j is %s', (name, file) => expect(fileNameOf(name)).toBe(file));

  test('never leads out of the folder, and never is that of another disk', () => {
    const name = fc.string({
      unit: fc.constantFrom('a', '.', '/', '%', '2', 'E', 'ö', '\n', '\0', ' ', '-'),
      maxLength: 12,
      minLength: 1,
    });
    fc.assert(
      fc.property(name, name, (one, other) => {
        const file = fileNameOf(one);
        expect(basename(resolve('/folder', file))).toBe(file);
        if (one !== other) expect(fileNameOf(other)).not.toBe(file);
      }),
    );
  });

  test('of 10,000 characters is refused', () => {
    expect(() => fileNameOf('x'.repeat(10_000))).toThrow('has a name that no file can have');
  });
});
