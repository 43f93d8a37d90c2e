import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { writeNewFileDirectly } from '#vault/store/direct-file.ts';
import { openFileStore } from '#vault/store/file-store.ts';

const MIB = 1024 ** 2;
const refused = vi.hoisted(() => ({ at: undefined as 'open' | 'write' | undefined }));

/** File systems without direct writes refuse the open, some of them after they have made the file, or the first write. */
vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs/promises')>();
  const invalid = () => Object.assign(new Error('EINVAL: invalid argument'), { code: 'EINVAL', errno: -22 });
  const open: typeof real.open = async (path, flags, mode) => {
    const file = await real.open(path, flags, mode);
    if (refused.at === undefined || typeof flags !== 'number' || (flags & 0o40000) === 0) return file;
    if (refused.at === 'write') return Object.assign(file, { write: () => Promise.reject(invalid()) });
    await file.close();
    throw invalid();
  };
  return { ...real, open };
});

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-direct-'));
});
afterEach(async () => {
  refused.at = undefined;
  await rm(folder, { recursive: true });
});

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

test.each([
  ['one window to the byte', [4 * MIB]],
  ['a byte more than a window', [4 * MIB, 1]],
  ['a block and a byte', [4097]],
  ['pieces that lie across windows and blocks', [100, 3 * MIB, 0, 4095, 5 * MIB + 17, 16]],
  ['many small pieces', Array.from({ length: 300 }, (_, i) => i * 113)],
])('a file has just what was written: %s', async (_, sizes) => {
  const pieces = sizes.map((size) => randomBytes(size));
  const path = join(folder, 'file');
  const written = await writeNewFileDirectly(path, pieces);
  if (written) expect(digest(await readFile(path))).toBe(digest(Buffer.concat(pieces)));
  else await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a file that is there is not written over', async () => {
  const path = join(folder, 'file');
  await writeNewFileDirectly(path, [Buffer.from('first')]);
  await writeNewFileDirectly(path, [Buffer.from('other')]).catch(() => undefined);
  expect(await readFile(path, 'utf8')).not.toBe('other');
});

test('many files are written at a time, whole', async () => {
  const bodies = Array.from({ length: 7 }, (_, i) => [randomBytes(5 * MIB + i)]);
  const paths = bodies.map((_, i) => join(folder, String(i)));
  const written = await Promise.all(bodies.map((body, i) => writeNewFileDirectly(paths[i] ?? '', body)));
  for (const [i, body] of bodies.entries())
    if (written[i]) expect(digest(await readFile(paths[i] ?? ''))).toBe(digest(Buffer.concat(body)));
});

test.each(['open', 'write'] as const)(
  'where the file system refuses the %s, objects are written all the same',
  async (at) => {
    const store = openFileStore(join(folder, 'store'));
    const body = [randomBytes(3 * MIB), randomBytes(5)];
    refused.at = at;
    expect(await store.create('packs/aa/one', body)).toBe('created');
    expect(digest(await store.get('packs/aa/one'))).toBe(digest(Buffer.concat(body)));
  },
);
