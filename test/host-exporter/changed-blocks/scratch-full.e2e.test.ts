import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openQemuSource } from '../../../host-exporter/changed-blocks/qemu-source.ts';
import { createPoints, readWhole } from './disk-model.ts';
import { blockdevArguments, makeDirectory, type RunningQemu, startQemu, type TestDirectory } from './running-qemu.ts';
import { guestWrites, writeGuest } from './writing-guest.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;
const { request } = createPoints();

let directory: TestDirectory;
let qemu: RunningQemu | undefined;
let scratch: string;

beforeEach(async ({ skip }) => {
  directory = await makeDirectory();
  scratch = directory.file('small');
  await mkdir(scratch);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', scratch]).catch(() => skip('mounting needs root'));
  await writeGuest(directory.file('disk.raw'));
  qemu = await startQemu(directory, blockdevArguments('vda', directory.file('disk.raw'), 'raw'), { running: true });
  await guestWritesMore(0);
});

afterEach(async () => {
  if (qemu) {
    await qemu.kill();
    await run('umount', [scratch]);
  }
  qemu = undefined;
  await directory.remove();
});

function guest(): RunningQemu {
  if (!qemu) throw new Error('no guest');
  return qemu;
}

async function guestWritesMore(than: number): Promise<void> {
  while ((await guestWrites(guest())) <= than) await sleep(20);
}

async function fillUp(settings: { readonly scratchLowWater: number; readonly scratchLookMs: number }) {
  const fixed = { qmpSocket: guest().qmpSocket, scratchDirectory: scratch, stateDirectory: directory.state };
  const source = await openQemuSource({ ...fixed, ...settings });
  const stops: string[] = [];
  guest().control.onEvent(({ name }) => stops.push(name));
  const moment = await source.take(request('r1'));
  const found = await readUntilBroken(() => readWhole(moment, 'vda'));
  await moment.end('abandoned');
  await guestWritesMore((await guestWrites(guest())) + 100);
  expect(await guest().control.execute('query-status')).toMatchObject({ status: 'running' });
  expect(await readdir(scratch)).toEqual([]);
  await source.close();
  return { found, stops };
}

async function readUntilBroken(read: () => Promise<unknown>): Promise<unknown> {
  for (;;) {
    try {
      await read();
      await sleep(20);
    } catch (error) {
      return error;
    }
  }
}

test('below the low-water mark the export is given up before the guest is stopped', async () => {
  const { found, stops } = await fillUp({ scratchLowWater: 10 * MIB, scratchLookMs: 1 });
  expect(found).toMatchObject({ code: 'qemu-failed', message: expect.stringContaining('low-water mark') });
  expect(stops).not.toContain('BLOCK_IO_ERROR');
});

test('a scratch area that fills up between two looks stops the guest for a moment only', async () => {
  const { found, stops } = await fillUp({ scratchLowWater: MIB, scratchLookMs: 60_000 });
  expect(found).toMatchObject({ code: 'qemu-failed', message: expect.stringContaining('is full') });
  expect(stops).toEqual(expect.arrayContaining(['BLOCK_IO_ERROR', 'STOP', 'RESUME']));
});

test('a guest that stopped while no exporter was there goes on when the next one comes', async () => {
  const fixed = { scratchDirectory: scratch, stateDirectory: directory.state, scratchLowWater: MIB };
  const { qmpSocket } = guest();
  const entry = new URL('./dying-exporter.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [entry, qmpSocket, scratch, directory.state, 'r1']);
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  for (;;) {
    const status = (await guest().control.execute('query-status')) as { status: string };
    if (status.status === 'io-error') break;
    await sleep(20);
  }
  const source = await openQemuSource({ qmpSocket, ...fixed, scratchLowWater: 1, scratchLookMs: 60_000 });
  // The area is as small as it was: this moment may well break too.
  await source.take(request('r2')).then(
    (moment) => moment.end('abandoned'),
    () => undefined,
  );
  await guestWritesMore((await guestWrites(guest())) + 100);
  await source.close();
});

test('a scratch area without room is refused before anything is begun', async () => {
  const { qmpSocket } = guest();
  const fixed = { qmpSocket, scratchDirectory: scratch, stateDirectory: directory.state };
  const source = await openQemuSource({ ...fixed, scratchLowWater: 1024 * MIB });
  await expect(source.take(request('r1'))).rejects.toMatchObject({ code: 'qemu-failed' });
  expect(await guest().control.execute('query-block-exports')).toEqual([]);
  await source.close();
  await expect(openQemuSource({ ...fixed, scratchDirectory: 'relative' })).rejects.toMatchObject({ code: 'bad-input' });
});
