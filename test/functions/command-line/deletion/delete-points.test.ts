import { beforeEach, describe, expect, test } from 'vitest';
import type { JournalEntry } from '#vault/journal/entries.ts';
import type { VaultJournal } from '#vault/journal/vault-journal.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { deletePoints } from '../../../../functions/command-line/deletion/delete-points.ts';
import { undeletePoints } from '../../../../functions/command-line/deletion/undelete-points.ts';
import { placeHold } from '../../../../functions/command-line/holds/place-hold.ts';
import { confirmed, dailyPoints, entriesOf, holdOn, NOON, pointAt } from '../../retention/histories.ts';
import { condemned, created, expired, manifestFor, pointFor, runFor } from '../../vault/journal/histories.ts';
import { keyring, openOn } from '../../vault/journal/histories-on-stores.ts';

const now = new Date(NOON);
let store: ObjectStore;
let journal: VaultJournal;
const say = async (...entries: JournalEntry[]) => {
  for (const entry of entries) await journal.append(() => entry);
};
const request = { reason: 'asked for', dryRun: false, lastOneToo: false, now };
const remove = (points: readonly string[], change = {}) =>
  deletePoints({ journal, store, keyring }, { ...request, points, ...change });
const undelete = (...points: string[]) => undeletePoints({ journal, store, keyring }, points, now);
const standing = async () => [...(await journal.refresh()).points.keys()];
const runs = (...numbers: number[]) => numbers.map(runFor);
const refusal = (code: string, words: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(words) });

beforeEach(async () => {
  store = openMemoryStore();
  journal = await openOn(store);
  await say(created, ...dailyPoints(4).flatMap(entriesOf));
});

describe('deletion', () => {
  test('takes any points in any order, with the reason, and tells until when they can be brought back', async () => {
    const report = await remove([runFor(2), runFor(0), runFor(2)], { reason: 'too large' });
    expect(report).toMatchObject({ points: [{ id: runFor(2) }, { id: runFor(0), group: 'web' }] });
    expect(report.recoverableUntil).toBe('2026-11-27T12:00:00.000Z');
    expect(await standing()).toEqual(runs(1, 3));
    expect(journal.state().expired.get(runFor(0))).toMatchObject({ expiredBecause: 'too large' });
  });

  test('changes nothing, dry', async () => {
    expect((await remove(runs(1), { dryRun: true })).points).toHaveLength(1);
    expect(await standing()).toHaveLength(4);
  });

  test('is refused whole when one of the points is held, and the hold is named', async () => {
    await say({ type: 'hold-placed', ...holdOn(1) });
    await expect(remove(runs(0, 1))).rejects.toThrow(refusal('held', /kept by hold "case 1": audit.*ekko release/));
    expect(await standing()).toHaveLength(4);
  });

  test('is possible while the point is being read', async () => {
    await say({ type: 'hold-placed', ...holdOn(1, 'read') });
    await remove(runs(1));
    expect(await standing()).toEqual(runs(0, 2, 3));
  });

  test('leaves a group its last point unless told otherwise', async () => {
    await say(...entriesOf(pointAt(9, NOON, { group: 'db' })));
    await expect(remove(runs(0, 9))).rejects.toThrow(refusal('bad-input', /Group "db".*--last-one-too/));
    await expect(remove(runs(0, 1, 2, 3))).rejects.toThrow(refusal('bad-input', /Group "web"/));
    await remove(runs(0, 1, 2, 3, 9), { lastOneToo: true });
    expect(await standing()).toEqual([]);
  });

  test.each<[string, JournalEntry, string, RegExp]>([
    ['hold it', { type: 'hold-placed', ...holdOn(1) }, 'held', /case 1/],
    ['delete it', expired(1), 'point-unknown', /is deleted/],
    ['delete all others', expired(0, 2, 3), 'bad-input', /--last-one-too/],
  ])('is refused when others %s in the same moment', async (_, entry, code, words) => {
    const other = await openOn(store);
    const append: VaultJournal['append'] = async (decide) => {
      await other.append(() => entry);
      return journal.append(decide);
    };
    const vault = { journal: { ...journal, append }, store, keyring };
    await expect(deletePoints(vault, { ...request, points: runs(1) })).rejects.toThrow(refusal(code, words));
  });

  test.each([
    [['20261120'], 'point-unknown', /may be any of 4/],
    [['nope'], 'point-unknown', /no restore point "nope"/],
    [[`${runFor(1)}/vda`], 'bad-input', /names one disk/],
  ])('of %j is refused', async (points, code, words) => {
    await expect(remove(points)).rejects.toThrow(refusal(code, words));
  });

  test('of what is deleted says how to bring it back', async () => {
    await remove(runs(1));
    await expect(remove(runs(1))).rejects.toThrow(refusal('point-unknown', /is deleted.*undelete/));
  });

  test.each(['', 'two\nlines', 'x'.repeat(1001)])(
    'needs a reason that the journal can keep, not %j',
    async (reason) => {
      await expect(remove(runs(1), { reason })).rejects.toThrow(refusal('bad-input', /reason is one line/));
    },
  );
});

describe('undeletion', () => {
  test('brings points back to where they were, and tells which of them retention deletes again', async () => {
    await remove(runs(0, 2));
    const { policy } = confirmed({ last: 2, timeZone: 'UTC' });
    await say({ type: 'retention-set', policy, confirmed: true, at: '2026-11-01T00:00:00.000Z' });
    expect((await undelete(runFor(2), runFor(0))).points).toMatchObject([
      { id: runFor(2), goesAgain: false },
      { id: runFor(0), goesAgain: true },
    ]);
    expect(await standing()).toEqual(runs(0, 1, 2, 3));
  });

  test('is refused for a point that is not deleted, unknown, or gone for good', async () => {
    await remove(runs(0, 1));
    await expect(undelete(runFor(2))).rejects.toThrow(refusal('point-unknown', /is not deleted/));
    await expect(undelete('nope')).rejects.toThrow(refusal('point-unknown', /gone for good/));
    await say(condemned({ points: [pointFor(1)], manifests: [manifestFor(1)] }));
    await expect(undelete(runFor(1))).rejects.toThrow(refusal('point-unknown', /gone for good/));
    await expect(undelete(runFor(0), runFor(1))).rejects.toThrow(refusal('point-unknown', /gone for good/));
    expect(await standing()).toEqual(runs(2, 3));
  });
});

describe('a legal hold', () => {
  test('gets a name where none is given, and one that is given can be had once', async () => {
    const named = await placeHold({ journal }, { points: ['latest'], reason: 'audit', name: 'case 1' }, now);
    expect(named).toMatchObject({ hold: 'case 1', kind: 'legal', points: runs(3) });
    const made = await placeHold({ journal }, { points: runs(0, 1), reason: 'audit', name: undefined }, now);
    expect(made.hold).toMatch(/^hold-20261120-120000-[0-9a-f]{6}$/);
    const again = placeHold({ journal }, { points: runs(0), reason: 'audit', name: 'case 1' }, now);
    await expect(again).rejects.toThrow(refusal('bad-input', /"case 1" already/));
  });

  test('is not placed on a deleted point', async () => {
    await remove(runs(1));
    const placing = placeHold({ journal }, { points: runs(1), reason: 'audit', name: undefined }, now);
    await expect(placing).rejects.toThrow(refusal('point-unknown', /undelete/));
  });
});
