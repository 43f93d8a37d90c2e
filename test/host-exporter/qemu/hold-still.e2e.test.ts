import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FreezeOptions, prepareFreeze } from '../../../host-exporter/qemu/freeze.ts';
import { connectAgent } from '../../../host-exporter/qemu/guest-agent.ts';
import { holdStill } from '../../../host-exporter/qemu/hold-still.ts';
import {
  recordMustThaw,
  thawAllLeftBehind,
  thawLeftBehind,
  thawUntilThawed,
} from '../../../host-exporter/qemu/must-thaw.ts';
import { runWatchdog, startWatchdog } from '../../../host-exporter/qemu/thaw-watchdog.ts';
import { type FakeAgent, startFakeAgent } from './fake-agent.ts';

const QUICK = { answerMs: 100, pauseMs: 10, patienceMs: 3_000 };

let directory: string;
let agentSocket: string;
let agent: FakeAgent;
let options: FreezeOptions;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ekko-'));
  agentSocket = join(directory, 'agent');
  agent = await startFakeAgent(agentSocket);
  options = { agentSocket, stateDirectory: directory, freezeMs: 200, thaw: QUICK, watchdogMs: 60_000 };
});

afterEach(async () => {
  await agent.close();
  await rm(directory, { recursive: true, force: true });
});

const records = async () => (await readdir(directory)).filter((name) => name.startsWith('must-thaw-'));
const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};
const until = async (condition: () => boolean) => {
  while (!condition()) await sleep(10);
};

test('the guest is frozen during the work, with a record on disk, and thawed after it', async () => {
  const held = await holdStill(options, true, async () => ({ frozen: agent.frozen, records: await records() }));
  expect(held.result.frozen).toBe(true);
  expect(held.result.records).toHaveLength(1);
  expect(held).toMatchObject({ frozen: true, note: expect.stringContaining('3 file systems') });
  expect(held.frozenMs).toBeGreaterThan(0);
  expect(agent.frozen).toBe(false);
  expect(await records()).toEqual([]);
});

test('a freeze that times out happens all the same: the guest is thawed before the work is done', async () => {
  agent.freezeMs = 500;
  const held = await holdStill(options, false, async () => agent.frozen);
  expect(held).toMatchObject({ result: false, frozen: false, frozenMs: 0, note: expect.stringContaining('200 ms') });
  expect(agent.commands).toContain('guest-fsfreeze-thaw');
  expect(agent.frozen).toBe(false);
  expect(await records()).toEqual([]);
});

test.each([
  ['an error', 'hook says no'],
  ['no file system', 0],
])('a freeze that gives %s is no freeze', async (_, answer) => {
  agent.freezeAnswer = answer;
  expect(await holdStill(options, false, async () => 'done')).toMatchObject({ result: 'done', frozen: false });
  let worked = false;
  const required = holdStill(options, true, async () => {
    worked = true;
  });
  await expect(required).rejects.toMatchObject({ code: 'qemu-failed' });
  expect(worked).toBe(false);
  expect(await records()).toEqual([]);
});

test('a guest that thaws by itself during the work was not still', async () => {
  const held = await holdStill(options, false, async () => {
    agent.frozen = false;
  });
  expect(held).toMatchObject({ frozen: false, note: expect.stringContaining('not frozen any more') });
});

test('a guest that somebody else has frozen stays so, and is not taken for still', async () => {
  agent.frozen = true;
  expect(await holdStill(options, false, async () => 1)).toMatchObject({ result: 1, frozen: false, frozenMs: 0 });
  await expect(holdStill(options, true, async () => 1)).rejects.toThrow('somebody else');
  expect(agent.frozen).toBe(true);
  expect(agent.commands).not.toContain('guest-fsfreeze-thaw');
});

test('one that somebody else freezes between preparing and freezing stays so, too', async () => {
  const ready = await prepareFreeze(options);
  agent.frozen = true;
  const freeze = await ready.freeze();
  expect(freeze).toMatchObject({ frozen: false, note: expect.stringContaining('frozen state') });
  await freeze.settled();
  expect(agent.frozen).toBe(true);
  expect(agent.commands).not.toContain('guest-fsfreeze-thaw');
  expect(await records()).toEqual([]);
});

test('what takes long is done before the freeze: the guest is asked once, and a watchdog waits', async () => {
  const ready = await prepareFreeze(options);
  expect(agent.commands).toEqual(['guest-sync-delimited', 'guest-fsfreeze-status']);
  const freeze = await ready.freeze();
  expect(agent.commands.slice(2)).toEqual(['guest-fsfreeze-freeze']);
  expect(await freeze.thaw()).toMatchObject({ frozen: true });
  expect(agent.commands.slice(3, 4)).toEqual(['guest-fsfreeze-thaw']);
  await freeze.settled();
  expect(agent.commands.at(-1)).toBe('guest-fsfreeze-status');
  expect(await records()).toEqual([]);
});

test('where no agent answers, that is known before anybody stands still for it', async () => {
  agent.silent = true;
  const ready = await prepareFreeze(options);
  const asked = [...agent.commands];
  expect(await ready.freeze()).toMatchObject({ frozen: false });
  expect(agent.commands).toEqual(asked);
});

test('what was prepared and is cancelled leaves the guest alone', async () => {
  const ready = await prepareFreeze(options);
  await ready.cancel();
  await ready.cancel();
  await sleep(400);
  expect(agent.commands).not.toContain('guest-fsfreeze-thaw');
  expect(await records()).toEqual([]);
});

test('without a watchdog nothing is frozen', async () => {
  const dying = join(directory, 'dying');
  await writeFile(dying, `#!/bin/sh\necho $$ > ${dying}.pid\nexit 3\n`, { mode: 0o700 });
  const ready = await prepareFreeze({ ...options, watchdogCommand: [dying] });
  const pid = async () => Number(await readFile(`${dying}.pid`, 'utf8').catch(() => ''));
  while ((await pid()) === 0 || isAlive(await pid())) await sleep(10);
  await expect(ready.freeze()).rejects.toThrow('has ended: 3');
  expect(agent.commands).not.toContain('guest-fsfreeze-freeze');
  expect(await records()).toEqual([]);
});

test('work that fails is reported, and the guest thawed', async () => {
  const failing = holdStill(options, true, () => Promise.reject(new Error('no transaction')));
  await expect(failing).rejects.toThrow('no transaction');
  expect(agent.frozen).toBe(false);
  expect(await records()).toEqual([]);
});

test('a guest that stays frozen is an error, keeps its record, and the watchdog thaws it when it can', async () => {
  agent.stuck = true;
  const impatient = { ...options, thaw: { ...QUICK, patienceMs: 100 } };
  await expect(holdStill(impatient, false, async () => 1)).rejects.toThrow('may still be frozen');
  expect(await records()).toHaveLength(1);
  agent.stuck = false;
  await until(() => !agent.frozen);
});

test('no agent at the socket: nothing to thaw, the work is done', async () => {
  await agent.close();
  await rm(agentSocket, { force: true });
  expect(await holdStill(options, false, async () => 1)).toMatchObject({ result: 1, frozen: false });
  agent = await startFakeAgent(agentSocket);
});

test('a socket behind which no agent runs costs one wait, and leaves nothing to thaw', async () => {
  agent.silent = true;
  const began = performance.now();
  expect(await holdStill(options, false, async () => 1)).toMatchObject({ result: 1, frozen: false });
  expect(performance.now() - began).toBeLessThan(1_000);
  expect(await records()).toEqual([]);
  await expect(holdStill(options, true, async () => 1)).rejects.toMatchObject({ code: 'qemu-failed' });
});

test('a restarted exporter finds the record and thaws', async () => {
  agent.frozen = true;
  await recordMustThaw(directory, agentSocket);
  expect(await thawLeftBehind(directory, agentSocket, QUICK)).toBe(true);
  expect(agent.frozen).toBe(false);
  expect(await thawLeftBehind(directory, agentSocket, QUICK)).toBe(false);
});

test('a service thaws all that was left, whatever else lies in its directory', async () => {
  agent.frozen = true;
  await recordMustThaw(directory, agentSocket);
  await recordMustThaw(directory, join(directory, 'gone'));
  await writeFile(join(directory, 'other.json'), '{');
  expect((await thawAllLeftBehind(directory, QUICK)).toSorted()).toEqual([agentSocket, join(directory, 'gone')]);
  expect(agent.frozen).toBe(false);
  expect(await records()).toEqual([]);
});

test('an exporter that is killed while the guest is frozen: the watchdog thaws', async () => {
  const entry = new URL('./freezing-exporter.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [entry, agentSocket, directory]);
  await once(child.stdout, 'data');
  expect(agent.frozen).toBe(true);
  child.kill('SIGKILL');
  await until(() => !agent.frozen);
  while ((await records()).length > 0) await sleep(10);
});

test('an exporter that hangs: the watchdog thaws at its deadline', async () => {
  agent.frozen = true;
  const record = await recordMustThaw(directory, agentSocket);
  const watchdog = await startWatchdog({ agentSocket, record, deadlineMs: 50 });
  watchdog.arm();
  await until(() => !agent.frozen);
  watchdog.dismiss();
});

test('a watchdog that is told the guest is thawed leaves it alone; one that cannot start is an error', async () => {
  const record = await recordMustThaw(directory, agentSocket);
  const before = agent.commands.length;
  const watchdog = await startWatchdog({ agentSocket, record, deadlineMs: 200 });
  watchdog.arm();
  watchdog.dismiss();
  await sleep(400);
  expect(agent.commands.length).toBe(before);
  expect(JSON.parse(await readFile(record, 'utf8'))).toMatchObject({ agentSocket });
  const missing = startWatchdog({ agentSocket, record, deadlineMs: 1, command: [join(directory, 'none')] });
  await expect(missing).rejects.toMatchObject({ code: 'qemu-failed' });
});

test('a watchdog that was not armed has no deadline, and nothing to thaw when its exporter dies', async () => {
  agent.frozen = true;
  const record = await recordMustThaw(directory, agentSocket);
  const [unarmed, armed] = [new PassThrough(), new PassThrough()];
  const watching = runWatchdog([agentSocket, record, '1'], unarmed);
  armed.write('armed\n');
  await runWatchdog([agentSocket, record, '20'], armed);
  expect(agent.frozen).toBe(false);
  // The deadline of the other is over, too.
  agent.frozen = true;
  unarmed.destroy();
  await watching;
  expect(agent.frozen).toBe(true);
});

test('a question that times out ends the session, so that its late answer is nobody else’s', async () => {
  agent.freezeMs = 150;
  const session = await connectAgent(agentSocket, 1000);
  await expect(session.freeze(50)).rejects.toThrow('within 50 ms');
  await expect(session.status(1000)).rejects.toMatchObject({ code: 'qemu-failed' });
  await session.close();
  await thawUntilThawed(agentSocket, join(directory, 'record'), QUICK);
  expect(agent.frozen).toBe(false);
});
