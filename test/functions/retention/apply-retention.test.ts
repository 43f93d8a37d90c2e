import { beforeEach, describe, expect, test } from 'vitest';
import type { JournalEntry, RetentionPolicy } from '#vault/journal/entries.ts';
import { applyEntry } from '#vault/journal/fold.ts';
import type { VaultJournal } from '#vault/journal/vault-journal.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { applyRetention, type RetentionRequest } from '../../../functions/retention/apply-retention.ts';
import { created, nameFor, runFor, verified } from '../vault/journal/histories.ts';
import { keyring, openOn } from '../vault/journal/histories-on-stores.ts';
import { confirmed, dailyPoints, entriesOf, HOUR, holdOn, NOON, pointAt, stateOf } from './histories.ts';

const REQUEST: RetentionRequest = { group: undefined, dryRun: false, confirmed: false, now: new Date(NOON) };
const runs = (...numbers: number[]) => numbers.map(runFor);
let store: ObjectStore;
let journal: VaultJournal;

async function say(...entries: readonly JournalEntry[]): Promise<void> {
  for (const entry of entries) await journal.append(() => entry);
}

const policyOf = (policy: RetentionPolicy, group?: string): JournalEntry => ({
  ...{ type: 'retention-set', policy, confirmed: true, at: '2026-01-01T00:00:00.000Z' },
  ...(group === undefined ? {} : { group }),
});
const hold = (n: number): JournalEntry => ({ type: 'hold-placed', ...holdOn(n) });
const apply = (change: Partial<RetentionRequest> = {}, on = journal) =>
  applyRetention({ store, keyring, journal: on }, { ...REQUEST, ...change });
const standing = async () => [...(await journal.refresh()).points.keys()];

beforeEach(async () => {
  store = openMemoryStore();
  journal = await openOn(store);
  await say(created);
});

test('expires what no rule keeps, by one entry that says which policy it was, and finds nothing left the next time', async () => {
  await say(...dailyPoints(9).flatMap(entriesOf), policyOf({ daily: 7, timeZone: 'UTC' }));
  expect(await apply()).toEqual({
    dryRun: false,
    groups: [{ group: 'web', policy: 'daily=7,zone=UTC', points: 7, expired: runs(0, 1), held: [] }],
  });
  const { expired, position } = await journal.refresh();
  expect([...expired.values()].map((point) => [point.run, point.expiredBecause])).toEqual(
    runs(0, 1).map((run) => [run, 'retention daily=7,zone=UTC']),
  );
  expect(await apply()).toMatchObject({ groups: [{ expired: [] }] });
  expect((await journal.refresh()).position).toBe(position);
});

test('says what it would do, dry, and changes nothing', async () => {
  await say(...dailyPoints(9).flatMap(entriesOf), policyOf({ daily: 7, timeZone: 'UTC' }), hold(0));
  const { position } = journal.state();
  expect(await apply({ dryRun: true })).toMatchObject({
    dryRun: true,
    groups: [{ points: 9, expired: runs(1), held: runs(0) }],
  });
  expect((await journal.refresh()).position).toBe(position);
});

test('keeps to one group where it is asked to', async () => {
  const other = dailyPoints(5).map((point, n) => pointAt(20 + n, Date.parse(point.at), { group: 'db' }));
  await say(...[...dailyPoints(5), ...other].flatMap(entriesOf), policyOf({ last: 2, timeZone: 'UTC' }));
  await apply({ group: 'db' });
  expect(await standing()).toEqual(runs(0, 1, 2, 3, 4, 23, 24));
  await apply();
  expect(await standing()).toEqual(runs(3, 4, 23, 24));
});

test('does nothing where there is no policy', async () => {
  await say(...dailyPoints(50).flatMap(entriesOf));
  expect(await apply()).toMatchObject({ groups: [{ points: 50, expired: [] }] });
});

test('stops before too much goes at once, until somebody confirms it', async () => {
  await say(...dailyPoints(30).flatMap(entriesOf), policyOf({ last: 3, timeZone: 'UTC' }));
  expect(await apply()).toMatchObject({ groups: [{ expired: [], stopped: { old: 23, going: 23 } }] });
  expect(await standing()).toHaveLength(30);
  expect((await apply({ confirmed: true })).groups[0]?.expired).toHaveLength(27);
  expect(await standing()).toEqual(runs(27, 28, 29));
});

test('a clock that is a year ahead or behind deletes no more than the right one', async () => {
  await say(...dailyPoints(30).flatMap(entriesOf), policyOf({ daily: 20, weekly: 5, timeZone: 'UTC' }));
  const { groups } = await apply({ dryRun: true });
  for (const years of [-1, 1]) {
    const found = (await apply({ dryRun: true, now: new Date(NOON + years * 365 * 24 * HOUR) })).groups[0];
    expect(groups[0]?.expired).toEqual(expect.arrayContaining([...(found?.expired ?? [])]));
  }
});

test('more points than fit into one entry go in several', async () => {
  const minutes = Array.from({ length: 2300 }, (_, n) => pointAt(n, NOON - (2300 - n) * 60_000));
  let state = stateOf(minutes, { '': confirmed({ last: 100, timeZone: 'UTC' }) });
  const sizes: number[] = [];
  const append: VaultJournal['append'] = async (decide) => {
    const entry = decide(state);
    if (entry.type === 'points-expired') sizes.push(entry.points.length);
    state = applyEntry(state, { position: state.position + 1, digest: nameFor(`${state.position}`), entry });
    return state;
  };
  const folded = { state: () => state, refresh: async () => state, append };
  expect((await apply({}, folded)).groups[0]?.expired).toEqual(minutes.slice(0, 2200).map(({ run }) => run));
  expect(sizes).toEqual([1000, 1000, 200]);
  expect(state.points.size).toBe(100);
});

describe('while others work', () => {
  /** Does something by another handle in the moment before each append. */
  const disturbed = (meddle: (call: number) => Promise<void>): VaultJournal => {
    let call = 0;
    return {
      ...journal,
      append: async (decide) => {
        await meddle(++call);
        return journal.append(decide);
      },
    };
  };

  test('a hold that comes at the last moment is respected', async () => {
    await say(...dailyPoints(9).flatMap(entriesOf), policyOf({ daily: 7, timeZone: 'UTC' }));
    const other = await openOn(store);
    const meddle = async (call: number) => void (call === 1 && (await other.append(() => hold(0))));
    expect((await apply({}, disturbed(meddle))).groups[0]).toMatchObject({ expired: runs(1), held: runs(0) });
    expect(await standing()).toContain(runFor(0));
  });

  /** A handle whose first own entry finds its position taken by `first`. */
  const outrun = async (first: JournalEntry): Promise<VaultJournal> => {
    const other = await openOn(store);
    let raced = false;
    const create: ObjectStore['create'] = async (key, ...rest) => {
      if (!raced && key.startsWith('journal/')) {
        raced = true;
        await other.append(() => first);
      }
      return store.create(key, ...rest);
    };
    return openOn({ ...store, create });
  };

  test('a hold that wins the very position is respected', async () => {
    await say(...dailyPoints(9).flatMap(entriesOf), policyOf({ daily: 7, timeZone: 'UTC' }));
    expect((await apply({}, await outrun(hold(0)))).groups[0]).toMatchObject({ expired: runs(1), held: runs(0) });
    expect(await standing()).toContain(runFor(0));
  });

  test('damage that wins the very position is looked at, and what is reported is what expired', async () => {
    await say(...dailyPoints(9).flatMap(entriesOf), policyOf({ daily: 7, timeZone: 'UTC' }));
    const report = await apply({}, await outrun(verified([0], ['ab'.repeat(32)])));
    expect(report.groups[0]?.expired).toEqual([...(await journal.refresh()).expired.keys()]);
    expect(await standing()).toHaveLength(7);
  });

  test('a newer point and a new policy are seen', async () => {
    await say(...dailyPoints(9).flatMap(entriesOf), policyOf({ daily: 7, timeZone: 'UTC' }));
    const other = await openOn(store);
    const meddle = async (call: number) => {
      if (call > 1) return;
      for (const entry of entriesOf(pointAt(9, NOON + 24 * HOUR))) await other.append(() => entry);
      await other.append(() => policyOf({ daily: 9, timeZone: 'UTC' }));
    };
    const now = new Date(NOON + 25 * HOUR);
    expect((await apply({ now }, disturbed(meddle))).groups[0]?.expired).toEqual(runs(0));
  });

  test('two at once expire each point once, and end well both', async () => {
    await say(...dailyPoints(9).flatMap(entriesOf), policyOf({ daily: 7, timeZone: 'UTC' }));
    const other = await openOn(store);
    const reports = await Promise.all([apply(), apply({}, other)]);
    const expired = reports.flatMap(({ groups }) => groups[0]?.expired ?? []);
    expect(expired.sort()).toEqual(runs(0, 1));
  });

  test('damage that is found meanwhile is looked at before anything goes', async () => {
    const points = dailyPoints(3);
    await say(...points.flatMap(entriesOf), policyOf({ last: 1, timeZone: 'UTC' }));
    const other = await openOn(store);
    // The records of these points are not there at all: where damage is known, none of them can be called good.
    const damaged = points.slice(1).flatMap(({ point }) => point);
    const meddle = async (call: number) => void (call === 1 && (await other.append(() => verified([0], damaged))));
    let looked = 0;
    const get: ObjectStore['get'] = (key) => {
      looked++;
      return store.get(key);
    };
    const vault = { store: { ...store, get }, keyring, journal: disturbed(meddle) };
    await applyRetention(vault, REQUEST);
    expect(looked).toBeGreaterThan(0);
    expect(await standing()).toEqual(runs(2));
  });
});
