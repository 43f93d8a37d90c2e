import { existsSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { servicesFolder, startDaemon, stopServices, useService } from './service.ts';

const alive = (pid: number) => existsSync(`/proc/${pid}`);

test('a service is started once, and everybody is told the same', async () => {
  let starts = 0;
  const start = async (folder: string) => {
    starts++;
    return { pid: await startDaemon(folder, 'sleeper', ['sleep', '600']) };
  };
  const [first, second] = await Promise.all([useService('sleeper', start), useService('sleeper', start)]);
  expect(starts).toBe(1);
  expect(second).toEqual(first);
  expect(await useService('sleeper', start)).toEqual(first);
  expect(alive(first.pid)).toBe(true);
});

test('a service that cannot start tells everybody why', async () => {
  const start = () => Promise.reject(new Error('no disk'));
  await expect(useService('broken', start)).rejects.toThrow('no disk');
  await expect(useService('broken', start)).rejects.toThrow('no disk');
});

test('the end of a run ends every daemon, its children too, and leaves nothing behind', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ekko-services-test-'));
  const pid = await startDaemon(folder, 'parent', ['sh', '-c', 'sleep 600 & echo $!; wait']);
  let child = '';
  while (child === '') child = (await readFile(join(folder, 'parent.log'), 'utf8')).trim();
  expect([alive(pid), alive(Number(child))]).toEqual([true, true]);
  await stopServices(folder);
  expect([alive(pid), alive(Number(child))]).toEqual([false, false]);
  expect(existsSync(folder)).toBe(false);
  expect(servicesFolder()).not.toBe(folder);
});
