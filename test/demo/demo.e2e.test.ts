import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { checkout, lacks } from '../setup/cache.ts';

/** `npm start` without its set-up: the main job on a real guest, end to end. */
test.skipIf(lacks('qemu', 'guest'))(
  'a running guest is backed up, restored bit for bit, and boots from what was restored',
  async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [join(checkout, 'test/demo/demo.ts')]);
    expect(stdout.match(/: identical/g)).toHaveLength(4);
    expect(stdout.match(/e2fsck: clean/g)).toHaveLength(2);
    expect(stdout).toContain('It boots, and its files are the same.');
    expect(stdout).toMatch(/incremental +\S+ MiB/);
  },
  180_000,
);
