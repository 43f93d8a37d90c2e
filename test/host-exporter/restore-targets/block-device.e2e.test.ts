import { execFile } from 'node:child_process';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { prepareTarget } from '../../../host-exporter/restore-targets/open-target.ts';
import { describeTarget } from '../../conformance/restore-target.ts';
import { withFolder } from '../restore/restored-disk.ts';

const run = promisify(execFile);
const POINT = '20261120-191503-7c1e9a';
const DEVICE_SIZE = 8 * 1024 * 1024;

/** A loop device full of something, as a used volume is; undefined where this machine or user has none. */
async function openLoop(folder: string): Promise<string | undefined> {
  const backing = join(folder, 'backing');
  await writeFile(backing, Buffer.alloc(DEVICE_SIZE, 'old content'));
  return run('losetup', ['--find', '--show', backing]).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  );
}

const probe = await mkdtemp(join(tmpdir(), 'ekko-test-loop-'));
const probed = await openLoop(probe);
if (probed !== undefined) await run('losetup', ['--detach', probed]);
await rm(probe, { recursive: true });

describe.skipIf(probed === undefined)('With loop devices', () => {
  describeTarget('A block device', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ekko-test-device-'));
    const path = (await openLoop(folder)) ?? '';
    const prepare = (size: number, mode: 'new' | 'overwrite' | 'resume') =>
      prepareTarget({ kind: 'device', path, size, point: POINT, mode });
    return {
      first: 'overwrite',
      prepare,
      prepareAgain: prepare,
      content: async (size) => {
        const device = await open(path);
        const bytes = Buffer.alloc(size);
        await device.read(bytes, 0, size, 0);
        await device.close();
        return bytes;
      },
      cleanUp: async () => {
        await run('losetup', ['--detach', path]);
        await rm(folder, { recursive: true });
      },
    };
  });

  it('A device that is too small is refused with both sizes, and untouched', () =>
    withFolder(async (folder) => {
      const path = (await openLoop(folder)) ?? '';
      try {
        const request = { kind: 'device', path, size: DEVICE_SIZE + 1, point: POINT, mode: 'overwrite' } as const;
        await expect(prepareTarget(request)).rejects.toMatchObject({
          code: 'target-failed',
          message: expect.stringMatching(new RegExp(`${DEVICE_SIZE} bytes.*${DEVICE_SIZE + 1}`)),
        });
        expect((await readFile(join(folder, 'backing'))).equals(Buffer.alloc(DEVICE_SIZE, 'old content'))).toBe(true);
      } finally {
        await run('losetup', ['--detach', path]);
      }
    }));
});

it('A file is no block device', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'file');
    await writeFile(path, 'x');
    const request = { kind: 'device', path, size: 1, point: POINT, mode: 'overwrite' } as const;
    await expect(prepareTarget(request)).rejects.toMatchObject({ code: 'target-failed' });
  }));
