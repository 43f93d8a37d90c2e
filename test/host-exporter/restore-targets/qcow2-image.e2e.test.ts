import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { openTarget, prepareTarget } from '../../../host-exporter/restore-targets/open-target.ts';
import { describeTarget } from '../../conformance/restore-target.ts';
import { withFolder } from '../restore/restored-disk.ts';

const run = promisify(execFile);
const POINT = '20261120-191503-7c1e9a';

describeTarget('A qcow2 image', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ekko-test-qcow2-'));
  // A name that QEMU would take apart in more than one way.
  const path = join(folder, 'nbd:a,b=c "d".qcow2');
  const prepare = (size: number, mode: 'new' | 'overwrite' | 'resume') =>
    prepareTarget({ kind: 'qcow2', path, size, point: POINT, mode });
  return {
    first: 'new',
    prepare,
    prepareAgain: prepare,
    content: async (size) => {
      const raw = join(folder, 'content.raw');
      await run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', path, raw]);
      return (await readFile(raw)).subarray(0, size);
    },
    cleanUp: () => rm(folder, { recursive: true }),
  };
});

describe('A qcow2 image', () => {
  it('ends with a bitmap that the next backup counts from, and is sound', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'disk.qcow2');
      const prepared = await prepareTarget({ kind: 'qcow2', path, size: 1024 ** 3, point: POINT, mode: 'new' });
      await prepared.finish();
      const info = JSON.parse(execFileSync('qemu-img', ['info', '--output=json', path], { encoding: 'utf8' }));
      const bitmaps = info['format-specific'].data.bitmaps;
      expect(bitmaps).toEqual([{ name: `ekko-${POINT}`, granularity: 65_536, flags: ['auto'] }]);
      expect(execFileSync('qemu-img', ['check', path], { encoding: 'utf8' })).toContain('No errors');
    }));

  it('can be resumed when only its bitmap was missing, or nothing at all', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'disk.qcow2');
      const request = { kind: 'qcow2', path, size: 1024 ** 2, point: POINT } as const;
      await (await prepareTarget({ ...request, mode: 'new' })).abandon();
      for (let i = 0; i < 2; i++) await (await prepareTarget({ ...request, mode: 'resume' })).finish();
      expect(execFileSync('qemu-img', ['info', path], { encoding: 'utf8' })).toContain(`ekko-${POINT}`);
    }));

  it('is served on a socket that others cannot reach, which is gone afterwards', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'disk.qcow2');
      const prepared = await prepareTarget({ kind: 'qcow2', path, size: 1024 ** 2, point: POINT, mode: 'new' });
      if (prepared.handle.kind !== 'nbd') throw new Error('not served');
      const place = join(prepared.handle.socketPath, '..');
      expect(execFileSync('stat', ['-c', '%a', place], { encoding: 'utf8' }).trim()).toBe('700');
      await prepared.abandon();
      await expect(readdir(place)).rejects.toMatchObject({ code: 'ENOENT' });
      await expect(openTarget(prepared.handle)).rejects.toMatchObject({ code: 'target-failed' });
    }));

  it('is refused in QEMU’s words while something else uses it', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'disk.qcow2');
      const request = { kind: 'qcow2', path, size: 1024 ** 2, point: POINT } as const;
      const prepared = await prepareTarget({ ...request, mode: 'new' });
      await expect(prepareTarget({ ...request, mode: 'overwrite' })).rejects.toThrow(/lock/);
      await prepared.finish();
    }));
});
