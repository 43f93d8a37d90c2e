import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openTarget, prepareTarget } from '../../../host-exporter/restore-targets/open-target.ts';
import { describeTarget } from '../../conformance/restore-target.ts';
import { withFolder } from '../restore/restored-disk.ts';

const POINT = '20261120-191503-7c1e9a';

describeTarget('A raw file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ekko-test-raw-'));
  const path = join(folder, 'disk.raw');
  const prepare = (size: number, mode: 'new' | 'overwrite' | 'resume') =>
    prepareTarget({ kind: 'raw', path, size, point: POINT, mode });
  return {
    first: 'new',
    prepare,
    prepareAgain: prepare,
    content: async (size) => (await readFile(path)).subarray(0, size),
    cleanUp: () => rm(folder, { recursive: true }),
  };
});

describe('A raw file', () => {
  const request = (path: string, mode: 'new' | 'overwrite') =>
    ({ kind: 'raw', path, size: 1024 ** 4, point: POINT, mode }) as const;

  it('has the size of the disk, no blocks, and is for its owner only', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'disk');
      const { handle } = await prepareTarget(request(path, 'new'));
      const target = await openTarget(handle);
      await target.zero(0, 1024 ** 4);
      await target.close();
      const found = await stat(path);
      expect([found.size, found.blocks, found.mode & 0o777]).toEqual([1024 ** 4, 0, 0o600]);
    }));

  it('has nothing left of what it overwrites', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'disk');
      await writeFile(path, 'old content');
      await prepareTarget({ ...request(path, 'overwrite'), size: 20 });
      expect(await readFile(path)).toEqual(Buffer.alloc(20));
    }));

  it.each(['folder', 'link to nowhere', 'path in no folder'])('is not made of a %s', (kind) =>
    withFolder(async (folder) => {
      const path = join(folder, kind === 'path in no folder' ? 'a/b' : 'disk');
      if (kind === 'folder') await mkdir(path);
      if (kind === 'link to nowhere') await symlink('nowhere/at/all', path);
      for (const mode of ['new', 'overwrite'] as const) {
        await expect(prepareTarget(request(path, mode))).rejects.toMatchObject({
          code: 'target-failed',
          message: expect.stringContaining(path),
        });
      }
    }),
  );
});
