import { readdir } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openQemuSource } from '../../../host-exporter/changed-blocks/qemu-source.ts';
import { recordMustThaw } from '../../../host-exporter/qemu/must-thaw.ts';
import { type FakeAgent, startFakeAgent } from '../qemu/fake-agent.ts';
import { createPoints } from './disk-model.ts';
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
let agent: FakeAgent;
const { request } = createPoints();

beforeEach(async () => {
  directory = await makeDirectory();
  const image = directory.file('disk.qcow2');
  await qemuImg('create', '-q', '-f', 'qcow2', image, '4M');
  qemu = await startQemu(directory, blockdevArguments('vda', image, 'qcow2'), { running: true });
  agent = await startFakeAgent(directory.file('agent'));
});

afterEach(async () => {
  await qemu.kill();
  await agent.close();
  await directory.remove();
});

function open(more: { readonly agentSocket?: string } = { agentSocket: directory.file('agent') }) {
  return openQemuSource({
    ...{ qmpSocket: qemu.qmpSocket, scratchDirectory: directory.scratch, stateDirectory: directory.state, ...more },
    ...{ scratchLowWater: 1, freezeMs: 200, thaw: { answerMs: 200, pauseMs: 10, patienceMs: 2_000 } },
  });
}

test('a frozen guest gives a file-system-consistent moment, and is thawed before anything is read', async () => {
  const source = await open();
  const moment = await source.take(request('r1', { quiesce: 'require' }));
  expect(agent.frozen).toBe(false);
  expect(moment).toMatchObject({
    consistency: 'file-system',
    consistencyNote: expect.stringContaining('3 file systems'),
  });
  expect(moment.frozenMs).toBeGreaterThan(0);
  expect(await readdir(directory.state)).toEqual([]);
  await source.close();
});

test('a guest that cannot be frozen is crash-consistent where that will do', async () => {
  agent.freezeMs = 400;
  const source = await open();
  const moment = await source.take(request('r1', { quiesce: 'prefer' }));
  expect(moment).toMatchObject({ consistency: 'crash', frozenMs: 0 });
  expect(agent.frozen).toBe(false);
  await source.close();
});

test('where it will not do, nothing is left of the attempt', async () => {
  agent.freezeAnswer = 'no';
  const source = await open();
  const taking = source.take(request('r1', { quiesce: 'require' }));
  await expect(taking).rejects.toMatchObject({ code: 'qemu-failed', message: expect.stringContaining('no') });
  expect(await qemu.control.execute('query-jobs')).toEqual([]);
  expect(await bitmapsOf(qemu, directory.file('disk.qcow2'))).toEqual([]);
  expect(await readdir(directory.scratch)).toEqual([]);
  await source.close();
  const withoutAgent = await open({});
  await expect(withoutAgent.take(request('r1', { quiesce: 'require' }))).rejects.toThrow('no guest agent');
  await (await withoutAgent.take(request('r1', { quiesce: 'prefer' }))).end('committed');
  await withoutAgent.close();
});

test('a paused guest is not asked to freeze', async () => {
  await qemu.control.execute('stop');
  const source = await open();
  const moment = await source.take(request('r1', { quiesce: 'prefer' }));
  expect(moment).toMatchObject({ consistency: 'crash', consistencyNote: 'the guest is not running' });
  expect(agent.commands).toEqual([]);
  await moment.end('committed');
  expect(await qemu.control.execute('query-status')).toMatchObject({ status: 'paused' });
  await source.close();
});

test('a guest that a dead exporter left frozen is thawed first', async () => {
  agent.frozen = true;
  await recordMustThaw(directory.state, directory.file('agent'));
  const source = await open();
  await source.take(request('r1'));
  expect(agent.frozen).toBe(false);
  await source.close();
});
