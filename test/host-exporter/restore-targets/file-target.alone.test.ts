import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openFileTarget } from '../../../host-exporter/restore-targets/file-target.ts';

const MIB = 1024 ** 2;
/** What each kind of handle was asked for, and how a direct one answers. Without direct writes a handle stands in for it. */
const seen = vi.hoisted(() => ({
  direct: { writes: 0, closes: 0, refuses: false, failsToClose: false },
  ordinary: { writes: 0, closes: 0, gate: Promise.resolve() },
}));

vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs/promises')>();
  const fault = (code: string) => Object.assign(new Error(code), { code, errno: -22 });
  const watch = (file: FileHandle, isDirect: boolean): FileHandle => {
    const { direct, ordinary } = seen;
    const count = isDirect ? direct : ordinary;
    const write = file.write.bind(file) as (...args: unknown[]) => Promise<unknown>;
    const close = file.close.bind(file);
    return Object.assign(file, {
      write: async (...args: unknown[]) => {
        count.writes++;
        if (isDirect && direct.refuses) throw fault('EINVAL');
        if (!isDirect) await ordinary.gate;
        return write(...args);
      },
      close: async () => {
        count.closes++;
        await close();
        if (isDirect && direct.failsToClose) throw fault('EIO');
      },
    });
  };
  const open: typeof real.open = async (path, flags, mode) => {
    const isDirect = typeof flags === 'number' && (flags & constants.O_DIRECT) !== 0;
    return watch(await real.open(path, isDirect ? 'r+' : flags, mode), isDirect);
  };
  return { ...real, open };
});

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-target-'));
  path = join(folder, 'disk');
  await writeFile(path, '');
  await truncate(path, 8 * MIB);
  Object.assign(seen.direct, { writes: 0, closes: 0, refuses: false, failsToClose: false });
  Object.assign(seen.ordinary, { writes: 0, closes: 0, gate: Promise.resolve() });
});
afterEach(() => rm(folder, { recursive: true }));

const open = () => openFileTarget({ kind: 'file', path, fresh: true });

describe('a file that takes direct writes', () => {
  test('is asked for nothing more when all was written so, and for what is left otherwise', async () => {
    const bytes = randomBytes(3 * MIB + 100);
    const target = await open();
    await target.write(0, bytes.subarray(0, MIB));
    expect([seen.direct.writes, seen.ordinary.writes]).toEqual([1, 0]);
    await target.write(MIB, bytes.subarray(MIB));
    expect([seen.direct.writes, seen.ordinary.writes]).toEqual([2, 1]);
    await target.close();
    expect((await readFile(path)).subarray(0, bytes.length).equals(bytes)).toBe(true);
  });

  test('is written to so while an ordinary write takes its time', async () => {
    const gate = Promise.withResolvers<void>();
    seen.ordinary.gate = gate.promise;
    const target = await open();
    const small = target.write(0, randomBytes(100));
    await target.write(MIB, randomBytes(MIB));
    gate.resolve();
    await small;
    await target.close();
  });

  test('is closed for ordinary writes, too, where the other end of it fails to close', async () => {
    const target = await open();
    seen.direct.failsToClose = true;
    await expect(target.close()).rejects.toMatchObject({ code: 'EIO' });
    expect([seen.direct.closes, seen.ordinary.closes]).toEqual([1, 1]);
  });
});

test('a file that refuses a direct write is asked for no other, and is whole', async () => {
  seen.direct.refuses = true;
  const bytes = randomBytes(5 * MIB);
  const target = await open();
  for (let at = 0; at < bytes.length; at += MIB) await target.write(at, bytes.subarray(at, at + MIB));
  await target.close();
  expect([seen.direct.writes, seen.ordinary.writes]).toEqual([1, 5]);
  expect((await readFile(path)).subarray(0, bytes.length).equals(bytes)).toBe(true);
});
