import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { type Desk, openDesk, type Started } from './ekko.ts';
import { range, writeImage } from './test-image.ts';

const run = promisify(execFile);
const SEGMENTS = 48;
let desk: Desk;

beforeEach(async () => {
  desk = await openDesk({ TZ: 'Europe/Berlin' });
  await desk.run(['init', 'vault', '--no-escrow']);
});
afterEach(() => desk.remove());

const json = async (...args: string[]) => {
  const { code, output } = await desk.run([...args, '--json']);
  return { code, document: JSON.parse(output) };
};

/** A point of an image that is kept beside it, all of it new. */
async function backUp(group = 'default'): Promise<string> {
  await writeImage(desk.path('disk.img'), { size: SEGMENTS * SEGMENT_SIZE, segments: range(0, SEGMENTS) });
  const { document } = await json('backup', 'vault', 'disk.img', '--group', group);
  await rename(desk.path('disk.img'), desk.path(`${document.point.id}.img`));
  return document.point.id;
}

async function backUps(count: number): Promise<string[]> {
  const points: string[] = [];
  for (let n = 0; n < count; n++) points.push(await backUp());
  return points;
}

const standing = async () => (await json('points', 'vault')).document.points.map(({ id }: { id: string }) => id);
const deleted = async () =>
  (await json('points', 'vault', '--deleted')).document.deleted.map(({ id }: { id: string }) => id);
const holds = async () => (await json('points', 'vault')).document.holds;
const restoresWell = async (point: string) => {
  const { code } = await desk.run(['restore', 'vault', point, `${point}.raw`]);
  expect(code).toBe(0);
  return (await readFile(desk.path(`${point}.raw`))).equals(await readFile(desk.path(`${point}.img`)));
};

test('a policy over its life: tried, set, waited for, confirmed, explained, applied, and undone', async () => {
  const points = await backUps(5);
  const [first = '', second = '', third = '', fourth = '', fifth = ''] = points;

  const none = await desk.run(['retention', 'vault']);
  expect(none).toMatchObject({
    code: 0,
    errors: '',
    output: expect.stringMatching(/^default +none: all are kept +5 +5 +0$/m),
  });
  const tried = await json('retention', 'vault', '--set', 'last=2', '--simulate');
  expect(tried.document.simulated).toMatchObject([{ stands: [{ id: fourth }, { id: fifth }], most: 2 }]);

  const dry = await desk.run(['retention', 'vault', '--set', 'last=2,daily=7', '--dry-run']);
  expect(dry.output).toMatch(/would be now last=2,daily=7,zone=Europe\/Berlin\.\n.*deletes 3 points more/);
  expect((await json('retention', 'vault')).document.groups).toMatchObject([{ points: { length: 5 }, going: [] }]);

  // Nothing was in force: the first policy has to wait a day.
  await desk.run(['retention', 'vault', '--set', 'last=2,daily=7']);
  const waiting = await json('retention', 'vault', '--apply');
  expect(waiting.document).toMatchObject({ groups: [{ going: [] }], applied: { groups: [{ expired: [] }] } });
  expect((await desk.run(['retention', 'vault'])).output).toMatch(
    /was changed: until .* what was kept before stays too/,
  );

  await desk.run(['retention', 'vault', '--set', 'last=2,daily=7', '--confirm']);
  const explained = await desk.run(['retention', 'vault', '--explain']);
  expect(explained.output).toMatch(new RegExp(`^${third} .* - +now, with --apply$`, 'm'));
  expect(explained.output).toMatch(
    new RegExp(`^${fifth} .* last 1 of 2, daily 1 of 7: \\d{4}-\\d\\d-\\d\\d, the newest `, 'm'),
  );
  expect(explained.output).toContain('Nothing was deleted. `ekko retention vault --apply` deletes what goes.');
  expect(await standing()).toEqual(points);

  await desk.run(['hold', 'vault', second, '--reason', 'case 4711', '--name', 'case 4711']);
  const dryApply = await json('retention', 'vault', '--apply', '--dry-run');
  expect(dryApply.document.applied.groups).toMatchObject([{ expired: [first, third], held: [second] }]);
  expect(await standing()).toEqual(points);
  const applied = await desk.run(['retention', 'vault', '--apply']);
  expect(applied).toMatchObject({
    code: 0,
    output: expect.stringContaining(`2 points are deleted: ${first}, ${third}.`),
  });
  expect(await standing()).toEqual([second, fourth, fifth]);
  expect((await desk.run(['points', 'vault'])).output).toMatch(new RegExp(`^${second} .* case 4711$`, 'm'));
  expect((await desk.run(['retention', 'vault', '--apply'])).output).toContain('Nothing is to be deleted.');

  expect(await deleted()).toEqual([first, third]);
  expect((await desk.run(['show', 'vault', first])).output).toMatch(/^ {2}DELETED +.*retention last=2,daily=7/m);
  expect(await restoresWell(first)).toBe(true);
  const back = await desk.run(['undelete', 'vault', third]);
  expect(back.output).toMatch(/No retention rule keeps 1 of them/);
  expect(await standing()).toEqual([second, third, fourth, fifth]);
  expect(await restoresWell(third)).toBe(true);
});

test('points are deleted by hand in any order, but not held ones, nor the last of a group unasked', async () => {
  const [first = '', second = '', third = ''] = await backUps(3);
  const other = await backUp('db');
  const dry = await json('delete', 'vault', second, '--dry-run');
  // A point whose content is all its own: its packs, a page, a manifest, and the point.
  expect(dry.document).toMatchObject({ dryRun: true, points: [{ id: second }] });
  expect(dry.document.freed.bytes).toBeGreaterThan(SEGMENTS * SEGMENT_SIZE);
  expect(dry.document.freed.bytes).toBeLessThan(1.1 * SEGMENTS * SEGMENT_SIZE);
  expect(await standing()).toHaveLength(4);

  await desk.run(['hold', 'vault', first, '--reason', 'audit', '--name', 'audit 7']);
  const held = await desk.run(['delete', 'vault', second, first]);
  expect(held).toMatchObject({ code: 1, output: '', errors: expect.stringContaining('kept by hold "audit 7": audit') });
  const last = await desk.run(['delete', 'vault', other]);
  expect(last).toMatchObject({ code: 2, errors: expect.stringContaining('--last-one-too') });
  expect(await standing()).toEqual([first, second, third, other]);

  const gone = await desk.run(['delete', 'vault', second, '--reason', 'wrong disk']);
  expect(gone).toMatchObject({ code: 0, errors: '', output: expect.stringMatching(/^That frees 3(\.\d)? MiB/m) });
  expect((await desk.run(['points', 'vault', '--deleted'])).output).toMatch(
    new RegExp(`^${second} .* wrong disk +\\d{4}-`, 'm'),
  );
  expect(await restoresWell(first)).toBe(true);
  expect(await restoresWell(third)).toBe(true);
  expect((await desk.run(['verify', 'vault'])).code).toBe(0);

  expect((await desk.run(['release', 'vault', 'audit 7'])).code).toBe(0);
  expect((await desk.run(['release', 'vault', 'audit 7'])).code).toBe(2);
  expect((await desk.run(['delete', 'vault', first, third, '--last-one-too'])).code).toBe(0);
  expect((await desk.run(['undelete', 'vault', second])).code).toBe(0);
  expect(await standing()).toEqual([second, other]);
  expect(await restoresWell(second)).toBe(true);
  // The next backup goes on, whatever it could have counted from.
  expect(await restoresWell(await backUp())).toBe(true);
});

describe('a point that is being read', () => {
  const entries = async () => (await readdir(desk.path('vault/journal'))).length;

  /** A restore that has placed its hold, and stands still before it has released it. */
  async function frozenRestore(point: string): Promise<Started> {
    for (let tries = 0; tries < 50; tries++) {
      await rm(desk.path('frozen.raw'), { force: true });
      const before = await entries();
      const started = desk.start(['restore', 'vault', point, 'frozen.raw', '--workers', '1']);
      while ((await entries()) === before && started.child.exitCode === null) await pause(1);
      started.child.kill('SIGSTOP');
      if ((await entries()) === before + 1 && (await holds()).length === 1) return started;
      // It was faster.
      started.child.kill('SIGCONT');
      await started.ended;
    }
    throw new Error('No restore was slow enough.');
  }

  async function backUpLarge(): Promise<string> {
    const segments = range(0, 1024);
    await writeImage(desk.path('disk.img'), { size: segments.length * SEGMENT_SIZE, segments });
    const { document } = await json('backup', 'vault', 'disk.img');
    await rename(desk.path('disk.img'), desk.path(`${document.point.id}.img`));
    return document.point.id;
  }

  test('can be deleted but is not swept; a killed reader is seen, and cleared away by the next one', async () => {
    const point = await backUpLarge();
    const { child, ended } = await frozenRestore(point);
    try {
      expect(await holds()).toMatchObject([{ kind: 'read', points: [point], stale: false }]);
      expect((await desk.run(['delete', 'vault', point, '--last-one-too'])).code).toBe(0);
      await desk.run(['sweep', 'vault', '--grace', '0']);
      expect(await deleted()).toEqual([point]);
    } finally {
      child.kill('SIGKILL');
    }
    await ended;

    expect(await holds()).toMatchObject([{ stale: true }]);
    expect((await desk.run(['points', 'vault'])).output).toMatch(/ read, stale /);
    expect((await desk.run(['doctor', 'vault'])).output).toMatch(/^note +hold +read-.* its process is gone$/m);
    expect(await restoresWell(point)).toBe(true);
    expect(await holds()).toEqual([]);

    await desk.run(['sweep', 'vault', '--grace', '0']);
    expect(await deleted()).toEqual([]);
    expect((await desk.run(['undelete', 'vault', point])).errors).toContain('gone for good');
  });

  test('is restored whole while others delete it and sweep', async () => {
    const point = await backUpLarge();
    const { child, ended } = await frozenRestore(point);
    await desk.run(['delete', 'vault', point, '--last-one-too']);
    await desk.run(['sweep', 'vault', '--grace', '0']);
    child.kill('SIGCONT');
    expect(await ended).toMatchObject({ code: 0, errors: '' });
    expect((await readFile(desk.path('frozen.raw'))).equals(await readFile(desk.path(`${point}.img`)))).toBe(true);
    expect(await holds()).toEqual([]);
  });

  test('is not held any more when the restore fails, or is interrupted', async () => {
    const point = await backUpLarge();
    await writeFile(desk.path('taken.raw'), 'something');
    expect((await desk.run(['restore', 'vault', point, 'taken.raw'])).code).toBe(1);
    expect(await holds()).toEqual([]);

    const { child, ended } = await frozenRestore(point);
    child.kill('SIGINT');
    child.kill('SIGCONT');
    // What was under way when it stood still may have been the last of it.
    expect([0, 130]).toContain((await ended).code);
    expect(await holds()).toEqual([]);
  });

  test('is cleared of a killed reader by the next backup too', async () => {
    const { child, ended } = await frozenRestore(await backUpLarge());
    child.kill('SIGKILL');
    await ended;
    await backUp();
    expect(await holds()).toEqual([]);
  });
});

describe.skipIf(process.getuid?.() !== 0)('a vault that cannot be written to', () => {
  beforeEach(async (context) => {
    await mkdir(desk.path('still'));
    // A container may be root without the right to mount.
    await run('mount', ['--bind', desk.path('vault'), desk.path('still')]).catch(() => context.skip());
    await run('mount', ['-o', 'remount,bind,ro', desk.path('still')]).catch(() => context.skip());
  });
  afterEach(() => run('umount', [desk.path('still')]).catch(() => undefined));

  test('is restored from all the same, with a note', async () => {
    const [point = ''] = await backUps(1);
    const { code, errors } = await desk.run(['restore', 'still', point, 'restored.raw']);
    expect({ code, errors }).toEqual({ code: 0, errors: expect.stringContaining('is read without a hold') });
    expect((await readFile(desk.path('restored.raw'))).equals(await readFile(desk.path(`${point}.img`)))).toBe(true);
    const dry = await desk.run(['retention', 'still', '--set', 'last=1', '--dry-run']);
    expect(dry).toMatchObject({ code: 0, errors: '' });
    expect((await desk.run(['retention', 'still', '--set', 'last=1'])).code).toBe(1);
  });
});

test('retention that runs beside backups and deletions loses no point that a rule keeps', async () => {
  await backUps(2);
  await desk.run(['retention', 'vault', '--set', 'last=2', '--confirm']);
  const busy = desk.start(['backup', 'vault', `beside=${(await standing())[0]}.img`]);
  if (busy.child.stdout) await once(busy.child.stdout, 'data');
  const both = await Promise.all([1, 2].map(() => desk.run(['retention', 'vault', '--apply'])));
  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  expect((await busy.ended).code).toBe(0);
  await desk.run(['retention', 'vault', '--apply']);
  const stays = await standing();
  expect(stays).toHaveLength(2);
  expect((await desk.run(['verify', 'vault'])).code).toBe(0);
});
