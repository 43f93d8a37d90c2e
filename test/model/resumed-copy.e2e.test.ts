import { hostname } from 'node:os';
import { beforeEach, describe, expect, test } from 'vitest';
import { packName } from '#vault/format/pack.ts';
import { abandonRun, takeOverRun } from '#vault/runs.ts';
import { Folder } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import type { Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { readReceipt } from '../../functions/point-committer/receipts.ts';
import { keysIn } from '../damage.ts';
import { openFaultyStore } from '../faulty-store.ts';
import { openHookedStore } from '../hooked-store.ts';
import { restored } from '../restored.ts';
import { type CopySettings, copyPoint } from './copy-point.ts';
import { newWorld, type World } from './world.ts';

const SEGMENTS = 26;
const PART = 3;
/** Of this host, before it was started last. */
const DEAD = { host: hostname(), process: '1.1@another-boot/pid:[1]' };
const NOW = new Date('2026-06-01T00:00:00Z');

let from: World;
let to: World;
let source: Vault;
let original: string;
/** Segments of the point that are not zero. */
let full: number;

beforeEach(async () => {
  from = await newWorld(SEGMENTS, 1000);
  to = await newWorld(1);
  full = 0;
  for (let at = 0; at < SEGMENTS; at++) {
    const content = at % 7 === 3 || (at > 10 && at < 13) ? 0 : at + 1;
    if (content !== 0) full++;
    from.guest.write(at, content);
  }
  original = (await from.backup()).id;
  source = await from.open();
});

/** A copy whose process dies on its `call`-th write; false where it makes fewer. */
async function die(call: number, settings: CopySettings = {}): Promise<boolean> {
  const store = openFaultyStore(to.memory, [{ on: 'write', call, does: 'crash-after' }]);
  await copyPoint(source, await to.openOver(store), original, { partSegments: PART, ...settings }).catch(
    () => undefined,
  );
  await signAsDead();
  return store.crashed();
}

async function abandonAll(): Promise<void> {
  const vault = await to.open();
  for (const run of vault.journal.state().openRuns.keys()) await abandonRun(vault, run, 'test', NOW);
}

async function signAsDead(): Promise<void> {
  const vault = await to.open();
  for (const open of vault.journal.state().openRuns.values()) await takeOverRun(vault, open, DEAD, NOW);
}

/** Copies as the next process does. What it read, and the runs that were open before. */
async function goOn(settings: CopySettings = {}, over: (store: ObjectStore) => ObjectStore = (store) => store) {
  const vault = await to.openOver(over(to.memory));
  const before = [...vault.journal.state().openRuns.keys()];
  let bytes = 0;
  const read = (more: number) => {
    bytes += more;
  };
  const { id } = await copyPoint(source, vault, original, { partSegments: PART, ...settings, read });
  return { id, read: bytes / SEGMENT_SIZE, before };
}

/** Segments of data that the receipts of an open run hold. */
async function doneSegments(): Promise<number> {
  const vault = await to.open();
  const [run] = vault.journal.state().openRuns.keys();
  if (run === undefined) return 0;
  const keys = await keysIn(to.memory, `${Folder.receipts}${run}/`);
  const receipts = await Promise.all(keys.map((key) => readReceipt(vault, run, 0, Number(key.slice(-8)))));
  return receipts.reduce((sum, { stats }) => sum + stats.dataSegments, 0);
}

/** The one point of the target holds what its original holds, and nothing is left of runs. */
async function expectCopied(): Promise<void> {
  const vault = await to.open();
  const { points, openRuns } = vault.journal.state();
  expect([points.size, openRuns.size]).toEqual([1, 0]);
  for (const { run, copyOf } of points.values()) {
    expect(copyOf?.run).toBe(original);
    expect(from.guest.moments.get(original)?.equals(await restored(vault, run))).toBe(true);
  }
  expect([...(await keysIn(to.memory, Folder.staging)), ...(await keysIn(to.memory, Folder.receipts))]).toEqual([]);
}

describe('a copy whose process died', () => {
  test('at any write is gone on with: the next one reads what has no receipt, and nothing else', async () => {
    const done = new Set<number>();
    for (let call = 1; await die(call); call++) {
      const left = full - (await doneSegments());
      const committed = (await to.open()).journal.state().points.size === 1;
      if (!committed) {
        const { id, read, before } = await goOn();
        expect({ call, read, id: before.length === 0 ? id : before[0] }).toEqual({ call, read: left, id });
        await expectCopied();
      }
      done.add(full - left);
      to = await newWorld(1);
    }
    // Deaths before the first receipt, behind the last one, and behind each between.
    expect(done.size).toBeGreaterThan(full / PART);
  });

  test('again and again is done in the end', async () => {
    await die(8);
    for (let deaths = 1; deaths <= 2; deaths++) {
      const left = full - (await doneSegments());
      const store = openFaultyStore(to.memory, [{ on: 'write', call: 9, does: 'crash-before' }]);
      await copyPoint(source, await to.openOver(store), original, { partSegments: PART }).catch(() => undefined);
      await signAsDead();
      expect(full - (await doneSegments())).toBeLessThan(left);
    }
    await goOn();
    await expectCopied();
  });

  test('is gone on with where a receipt of the middle is missing', async () => {
    await die(26);
    const [run = ''] = (await to.open()).journal.state().openRuns.keys();
    const receipts = await keysIn(to.memory, `${Folder.receipts}${run}/`);
    await to.memory.remove([receipts[1] ?? '', receipts[3] ?? '', receipts[4] ?? '']);
    const left = full - (await doneSegments());
    expect(await goOn()).toMatchObject({ read: left, id: run });
    await expectCopied();
  });

  test('by a signal leaves its run for the next one, but under another plan it is given up', async () => {
    const stop = new AbortController();
    let bytes = 0;
    const read = (more: number) => {
      bytes += more;
      if (bytes >= 10 * SEGMENT_SIZE) stop.abort(new Error('interrupted'));
    };
    // What goes on when the copy has ended ends with its process.
    const mortal = openHookedStore(to.memory, async () => {
      if (stop.signal.aborted) throw new Error('the process is gone');
    });
    const opened = await to.openOver(mortal);
    await expect(
      copyPoint(source, opened, original, { partSegments: PART, read, signal: stop.signal }),
    ).rejects.toThrow('interrupted');
    await signAsDead();
    expect((await to.open()).journal.state().openRuns.size).toBe(1);
    const { id, before, read: again } = await goOn({ partSegments: 4 });
    expect([before.includes(id), again]).toEqual([false, full]);
    await expectCopied();
  });

  test('is taken over by one of many that see it', async () => {
    await die(20);
    const handles = await Promise.all(Array.from({ length: 4 }, () => to.open()));
    const [open] = handles[0]?.journal.state().openRuns.values() ?? [];
    if (open === undefined) throw new Error('No run is open.');
    const mine = (n: number) => ({ host: 'h', process: String(n) });
    const taken = await Promise.all(handles.map((vault, n) => takeOverRun(vault, open, mine(n), NOW)));
    expect(taken.filter(Boolean)).toHaveLength(1);
    const { openRuns } = (await to.open()).journal.state();
    expect(openRuns.get(open.run)).toEqual({ ...open, ...mine(taken.indexOf(true)) });
  });

  test('but was alive all the time loses: of two that go on with one run one commits, and the point is whole', async () => {
    const late = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    let parts = 0;
    const slow = openHookedStore(to.memory, (verb, key) => {
      if (verb !== 'create' || !key.startsWith(Folder.receipts) || ++parts < 4) return undefined;
      reached.resolve();
      return late.promise;
    });
    const first = copyPoint(source, await to.openOver(slow), original, { partSegments: PART }).then(
      () => 'committed',
      () => 'refused',
    );
    await reached.promise;
    await signAsDead();
    const { id, before } = await goOn();
    expect(before).toEqual([id]);
    late.resolve();
    expect(await first).toBe('refused');
    const vault = await to.open();
    expect([...vault.journal.state().points.keys()]).toEqual([id]);
    expect(from.guest.moments.get(original)?.equals(await restored(vault, id))).toBe(true);
  });
});

describe('a copy is begun anew where the dead one', () => {
  test('has parts that are cut in another way', async () => {
    const plan = 'ab'.repeat(32);
    await die(26, { partSegments: 2, plan });
    expect(await doneSegments()).toBeGreaterThan(0);
    const { id, before } = await goOn({ partSegments: PART, plan });
    expect(before).not.toContain(id);
    await expectCopied();
  });

  test('has such parts, and no listing shows it', async () => {
    await goOn();
    for (let at = 0; at < SEGMENTS; at++) from.guest.write(at, 100 + at);
    original = (await from.backup()).id;
    source = await from.open();
    const plan = 'ab'.repeat(32);
    // The parts of a run that counts from another point may leave segments out: the commit finds nothing wrong with that.
    for (let call = 1; call < 30 && (await doneSegments()) === 0; call++) {
      await abandonAll();
      await die(call, { partSegments: 2, plan });
    }
    expect(await doneSegments()).toBe(2);
    const blind = (store: ObjectStore): ObjectStore => ({
      ...store,
      list: (prefix, options) => store.list(prefix.startsWith(Folder.receipts) ? 'receipts/none/' : prefix, options),
    });
    const { id, before } = await goOn({ partSegments: PART, plan }, blind);
    expect(before).not.toContain(id);
    const vault = await to.open();
    expect(from.guest.moments.get(original)?.equals(await restored(vault, id))).toBe(true);
  });

  test('has a receipt that cannot be read', async () => {
    await die(26);
    const [receipt = ''] = await keysIn(to.memory, Folder.receipts);
    await to.memory.remove([receipt]);
    await to.memory.create(receipt, [Buffer.from('rubbish')]);
    const { id, before } = await goOn();
    expect(before).not.toContain(id);
    await expectCopied();
  });

  test.each(['damaged', 'condemned'] as const)('has a part in a pack that is %s', async (how) => {
    await die(26);
    const vault = await to.open();
    const [run = ''] = vault.journal.state().openRuns.keys();
    const { extents } = await readReceipt(vault, run, 0, 0);
    const packs = [packName(extents.find(({ pack }) => pack !== undefined)?.pack ?? '')];
    const at = NOW.toISOString();
    const seen = { type: 'vault-verified', shards: [], keyed: true, objects: 1, bytes: 1, at } as const;
    const none = { pages: [], manifests: [], points: [], moves: [], at };
    await vault.journal.append(() =>
      how === 'damaged' ? { ...seen, damaged: packs } : { type: 'condemned', packs, ...none },
    );
    await to.memory.remove(packs.map((name) => `${Folder.packs}${name.slice(0, 2)}/${name}`));
    const { id, before } = await goOn();
    expect(before).not.toContain(id);
    await expectCopied();
  });
});
