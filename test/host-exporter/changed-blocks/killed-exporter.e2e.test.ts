import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openQemuSource } from '../../../host-exporter/changed-blocks/qemu-source.ts';
import { createPoints, planOf, segments } from './disk-model.ts';
import {
  bitmapsOf,
  blockdevArguments,
  makeDirectory,
  qemuImg,
  type RunningQemu,
  startQemu,
  type TestDirectory,
} from './running-qemu.ts';

let directory: TestDirectory;
let qemu: RunningQemu;

beforeEach(async () => {
  directory = await makeDirectory();
  const image = directory.file('disk.qcow2');
  await qemuImg('create', '-q', '-f', 'qcow2', image, '4M');
  qemu = await startQemu(directory, blockdevArguments('vda', image, 'qcow2'));
});

afterEach(async () => {
  await qemu.kill();
  await directory.remove();
});

async function killOneIn(run: string): Promise<void> {
  const entry = new URL('./dying-exporter.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [entry, qemu.qmpSocket, directory.scratch, directory.state, run]);
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
}

test('the next exporter removes what one that was killed left in the guest, and no change is missed', async () => {
  const { qmpSocket } = qemu;
  const places = { scratchDirectory: directory.scratch, stateDirectory: directory.state, scratchLowWater: 1 };
  const points = createPoints();
  const first = await openQemuSource({ qmpSocket, ...places });
  const moment = await first.take(points.request('r1'));
  points.add('r1', moment.plans);
  await moment.end('committed');
  await first.close();

  await qemu.io('vda', 'write -P 1 0 64k');
  await killOneIn('r2');
  expect(await qemu.control.execute('query-jobs')).toHaveLength(1);
  expect(await readdir(directory.scratch)).not.toEqual([]);
  await qemu.io('vda', 'write -P 2 1M 64k');

  const second = await openQemuSource({ qmpSocket, ...places });
  const again = await second.take(points.request('r3'));
  expect(segments(planOf(again, 'vda').plan.data)).toEqual([0, 16]);
  points.add('r3', again.plans);
  await again.end('committed');
  expect((await bitmapsOf(qemu, directory.file('disk.qcow2'))).map(({ name }) => name)).toEqual(['ekko-r3']);
  for (const query of ['query-jobs', 'query-block-exports']) expect(await qemu.control.execute(query)).toEqual([]);
  expect(await readdir(directory.scratch)).toEqual([]);
  await second.close();
});
