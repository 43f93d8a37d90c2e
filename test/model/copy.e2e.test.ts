import fc from 'fast-check';
import { expect, test } from 'vitest';
import { choosePoints } from '#vault/copies/choose-points.ts';
import type { RestorePoint } from '#vault/format/point.ts';
import { readPoint } from '#vault/records.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { replaceObject } from '../damage.ts';
import { type Fault, openFaultyStore } from '../faulty-store.ts';
import { restored } from '../restored.ts';
import { copyPoint } from './copy-point.ts';
import { newWorld, type World } from './world.ts';

const SEGMENTS = 24;
const ALL = { group: undefined, last: undefined, again: false };

async function copyAll(from: World, to: World): Promise<RestorePoint[]> {
  const [source, target] = [await from.open(), await to.open()];
  const copied: RestorePoint[] = [];
  for (const { run } of choosePoints(source.id, source.journal.state(), target.journal.state(), ALL))
    copied.push(await copyPoint(source, target, run));
  return copied;
}

/** Every copy is what its original's disk was; resolves to how many there are. */
async function checkCopies(from: World, to: World): Promise<number> {
  const target = await to.open();
  const { points } = target.journal.state();
  for (const { run, copyOf } of points.values()) {
    const moment = from.guest.moments.get(copyOf?.run ?? '');
    if (!moment?.equals(await restored(target, run))) throw new Error(`Copy ${run} is not what its original holds.`);
  }
  return points.size;
}

const action = fc.oneof(
  fc.record({ do: fc.constant('write' as const), at: fc.nat(SEGMENTS), content: fc.nat(6) }),
  fc.record({ do: fc.constant('backup' as const) }),
  fc.record({ do: fc.constant('copy' as const) }),
  fc.record({ do: fc.constant('lose bitmaps' as const) }),
  fc.record({ do: fc.constant('resize' as const), segments: fc.integer({ min: 1, max: SEGMENTS }) }),
  fc.record({ do: fc.constant('expire' as const), which: fc.nat(20) }),
  fc.record({ do: fc.constant('expire copy' as const), which: fc.nat(20) }),
);

async function expireOne(world: World, which: number): Promise<void> {
  const vault = await world.open();
  const runs = [...vault.journal.state().points.keys()];
  const run = runs[which % Math.max(1, runs.length)];
  if (run === undefined) return;
  const at = new Date().toISOString();
  await vault.journal.append(() => ({ type: 'points-expired', points: [run], reason: 'test', at }));
}

test('whatever happens in the one vault, each copy in the other restores what the original holds', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 6, maxLength: 30 }), async (actions) => {
      const [from, to] = [await newWorld(SEGMENTS, 1000), await newWorld(1)];
      for (const act of actions) {
        if (act.do === 'write') from.guest.write(act.at, act.content);
        else if (act.do === 'backup') await from.backup();
        else if (act.do === 'copy') await copyAll(from, to);
        else if (act.do === 'resize') from.guest.resize(act.segments);
        else if (act.do === 'lose bitmaps') from.guest.loseBitmaps();
        else await expireOne(act.do === 'expire' ? from : to, act.which);
      }
      await copyAll(from, to);
      await checkCopies(from, to);
    }),
    { numRuns: 60 },
  );
});

test('a copy of the next point reads what changed and nothing else, and zeros are told', async () => {
  const [from, to] = [await newWorld(SEGMENTS), await newWorld(1)];
  for (let at = 0; at < SEGMENTS; at++) from.guest.write(at, at + 1);
  await from.backup();
  const [full] = await copyAll(from, to);
  expect(full?.disks[0]).toMatchObject({ fullReason: 'no-common-point', changedBytes: SEGMENTS * SEGMENT_SIZE });
  from.guest.write(3, 77);
  from.guest.write(5, 0);
  await from.backup();
  const [next] = await copyAll(from, to);
  expect(next?.disks[0]).toMatchObject({ base: full?.id, changedBytes: SEGMENT_SIZE, newBytes: SEGMENT_SIZE });
  expect(await checkCopies(from, to)).toBe(2);
});

test('a copy tells of the moment of its original, not of its own', async () => {
  const [from, to] = [await newWorld(SEGMENTS), await newWorld(1)];
  from.guest.write(1, 1);
  const original = await from.backup();
  const [copy] = await copyAll(from, to);
  const truth = ({ takenAt, consistency, consistencyNote, frozenMs }: RestorePoint['disks'][number]) => {
    return { takenAt, consistency, consistencyNote, frozenMs };
  };
  expect(copy?.disks.map(truth)).toEqual(original.disks.map(truth));
  expect(copy?.takenAt).toBe(original.takenAt);
  const [source, target] = [await from.open(), await to.open()];
  const committed = target.journal.state().points.get(copy?.id ?? '');
  expect(committed?.copyOf).toEqual({ vault: source.id, run: original.id });
  const { disks } = await readPoint(target, committed?.point ?? '');
  expect(disks[0]?.copyOf).toEqual({ vault: source.id, run: original.id });
});

test('a copy that is cut off at any write loses nothing, and the next one makes it whole', async () => {
  const from = await newWorld(SEGMENTS);
  for (let at = 0; at < SEGMENTS; at++) from.guest.write(at, at + 1);
  const { id } = await from.backup();
  const source = await from.open();
  for (let call = 1; ; call++) {
    const to = await newWorld(1);
    const faults: Fault[] = [{ on: 'write', call, does: 'crash-before' }];
    const store = openFaultyStore(to.memory, faults);
    const opened = await to.open();
    const cut = await copyPoint(source, { ...opened, store }, id).then(
      () => false,
      () => true,
    );
    await copyAll(from, to);
    expect(await checkCopies(from, to)).toBe(1);
    if (!cut) break;
  }
});

test('a point whose pack is damaged is not copied, and what is copied of it is never a point', async () => {
  const [from, to] = [await newWorld(SEGMENTS), await newWorld(1)];
  from.guest.write(1, 1);
  await from.backup();
  for await (const { key } of from.memory.list('packs/')) {
    const bytes = await from.memory.get(key);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    await replaceObject(from.memory, key, bytes);
  }
  await expect(copyAll(from, to)).rejects.toMatchObject({ code: 'damaged' });
  expect((await to.open()).journal.state().points.size).toBe(0);
});
