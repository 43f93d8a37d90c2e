import { hostname } from 'node:os';
import { beforeEach, describe, expect, test } from 'vitest';
import { EkkoError } from '#vault/errors.ts';
import type { HoldPlaced } from '#vault/journal/entries.ts';
import type { VaultJournal } from '#vault/journal/vault-journal.ts';
import { type CountedStore, openCountedStore } from '#vault/store/counted-store.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { whileHeld } from '../../../../functions/command-line/holds/read-hold.ts';
import { releaseHold, releaseStaleHolds } from '../../../../functions/command-line/holds/release-hold.ts';
import { standingHolds } from '../../../../functions/command-line/holds/standing-holds.ts';
import { openScreen } from '../../../../functions/command-line/screen.ts';
import { thisProcess } from '../../../../functions/command-line/this-process.ts';
import {
  committed,
  condemned,
  created,
  expired,
  held,
  manifestFor,
  pointFor,
  runFor,
  started,
} from '../../vault/journal/histories.ts';
import { openOn } from '../../vault/journal/histories-on-stores.ts';
import { captureStreams } from '../captured-streams.ts';

let store: CountedStore;
let journal: VaultJournal;
let captured: ReturnType<typeof captureStreams>;

beforeEach(async () => {
  store = openCountedStore(openMemoryStore());
  journal = await openOn(store);
  for (const entry of [created, started(1), started(2), committed(1), committed(2)]) await journal.append(() => entry);
  captured = captureStreams();
});

const hold = (work: (held: boolean) => Promise<unknown>, on = journal) =>
  whileHeld({ journal: on }, runFor(1), 'restore', openScreen(captured.streams, false), work);
const holds = async () => standingHolds(await (await openOn(store)).refresh());
/** The hold of a reader on this host that was killed. */
const stale = (name: string): HoldPlaced => ({
  ...{
    type: 'hold-placed',
    hold: name,
    kind: 'read',
    points: [runFor(1)],
    reason: 'restore',
    at: '2026-11-20T00:00:00Z',
  },
  ...{ host: hostname(), process: thisProcess().process.replace(/@[^/]*/, '@another-boot') },
});

describe('while a point is read', () => {
  test('others see a hold on it by this process, and none afterwards', async () => {
    const seen = await hold(async (isHeld) => [isHeld, await holds()]);
    expect(seen).toEqual([true, [expect.objectContaining({ kind: 'read', points: [runFor(1)], stale: false })]]);
    expect(await holds()).toEqual([]);
  });

  test('it may be deleted, but not condemned', async () => {
    await hold(async () => {
      const other = await openOn(store);
      await other.append(() => expired(1));
      const entry = condemned({ points: [pointFor(1)], manifests: [manifestFor(1)] });
      await expect(other.append(() => entry)).rejects.toThrow(expect.objectContaining({ code: 'held' }));
    });
    await journal.append(() => condemned({ points: [pointFor(1)], manifests: [manifestFor(1)] }));
  });

  test('no more than one entry is written before the work begins', async () => {
    const before = [store.requests('create'), store.requests('get')];
    let at: number[] = [];
    await hold(async () => {
      at = [store.requests('create'), store.requests('get')];
    });
    // One look for what has come since, one create.
    expect(at).toEqual([(before[0] ?? 0) + 1, (before[1] ?? 0) + 1]);
  });
});

describe('the hold', () => {
  test('ends when the work fails, and the work’s own error is what is told', async () => {
    await expect(hold(() => Promise.reject(new EkkoError('damaged', 'torn')))).rejects.toThrow('torn');
    expect(await holds()).toEqual([]);
  });

  test('is placed on a deleted point too', async () => {
    await journal.append(() => expired(1));
    expect(await hold(async () => (await holds())[0]?.points)).toEqual([runFor(1)]);
  });

  test('is refused, and nothing done, when the point is gone for good', async () => {
    const other = await openOn(store);
    await other.append(() => expired(1));
    await other.append(() => condemned({ points: [pointFor(1)], manifests: [manifestFor(1)] }));
    let worked = false;
    const reading = hold(async () => {
      worked = true;
    });
    await expect(reading).rejects.toThrow(expect.objectContaining({ code: 'point-unknown' }));
    expect(worked).toBe(false);
  });

  test('is done without, with a remark, where the vault cannot be written to', async () => {
    const create: ObjectStore['create'] = () => Promise.reject(new EkkoError('store-failed', 'read-only file system'));
    const readOnly = await openOn({ ...store, create });
    expect(await hold(async (isHeld) => isHeld, readOnly)).toBe(false);
    expect(captured.said.errors()).toMatch(/read without a hold.*read-only file system/);
  });

  test('that cannot be released is told, and does not undo the work', async () => {
    let broken = false;
    const create: ObjectStore['create'] = (...args) =>
      broken ? Promise.reject(new EkkoError('store-failed', 'unplugged')) : store.create(...args);
    const failing = await openOn({ ...store, create });
    const done = await hold(async () => {
      broken = true;
      return 'done';
    }, failing);
    expect(done).toBe('done');
    expect(captured.said.errors()).toMatch(/could not be released: unplugged/);
  });

  test('that somebody else released meanwhile is no worry', async () => {
    await hold(async () => {
      const other = await openOn(store);
      await releaseHold({ journal: other }, (await holds())[0]?.name ?? '', new Date());
    });
    expect(captured.said.errors()).toBe('');
  });

  test('of a killed reader on this host is cleared away by the next one', async () => {
    await journal.append(() => stale('left behind'));
    expect(await holds()).toMatchObject([{ name: 'left behind', stale: true }]);
    await hold(async () => undefined);
    expect(await holds()).toEqual([]);
  });
});

test('only what surely nobody needs is cleared away', async () => {
  const others = [
    { ...stale('of another host'), host: 'elsewhere' },
    { ...stale('alive'), ...thisProcess() },
    held(2),
    { ...stale('legal, of a process that is gone'), kind: 'legal' as const },
  ];
  for (const entry of [...others, stale('gone 1'), stale('gone 2')]) await journal.append(() => entry);
  await releaseStaleHolds({ journal });
  expect((await holds()).map(({ name }) => name)).toEqual(
    others.map((entry) => (entry.type === 'hold-placed' ? entry.hold : '')),
  );
});

test('two that clear away at once are both content', async () => {
  await journal.append(() => stale('gone'));
  const [one, two] = [await openOn(store), await openOn(store)];
  await Promise.all([releaseStaleHolds({ journal: one }), releaseStaleHolds({ journal: two })]);
  expect(await holds()).toEqual([]);
});

test('a hold that nobody holds cannot be released, and those that there are are named', async () => {
  await journal.append(() => held(2));
  await expect(releaseHold({ journal }, 'case 3', new Date())).rejects.toThrow(
    expect.objectContaining({ code: 'bad-input', message: expect.stringContaining('There is "case 2".') }),
  );
});
