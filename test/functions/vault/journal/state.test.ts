import { describe, expect, test } from 'vitest';
import type { JournalEntry } from '#vault/journal/entries.ts';
import { applyEntry } from '#vault/journal/fold.ts';
import { objectionTo } from '#vault/journal/objections.ts';
import { ANY_GROUP, EMPTY_STATE, type VaultState } from '#vault/journal/state.ts';
import {
  AT,
  abandoned,
  added,
  committed,
  condemned,
  created,
  expired,
  held,
  manifestFor,
  moved,
  nameFor,
  plain,
  pointFor,
  recipientFor,
  released,
  rotated,
  runFor,
  started,
  undeleted,
  verified,
} from './histories.ts';

function place(state: VaultState, entry: JournalEntry) {
  return { position: state.position + 1, digest: nameFor(`entry ${state.position + 1}`), entry };
}

function after(...entries: JournalEntry[]): VaultState {
  return entries.reduce((state, entry) => applyEntry(state, place(state, entry)), EMPTY_STATE);
}

test('a run is open from its start to its end', () => {
  const { type: _, ...run } = { ...started(1) };
  expect([...after(created, started(1), started(2)).openRuns.keys()]).toEqual([runFor(1), runFor(2)]);
  expect(after(created, started(1)).openRuns.get(runFor(1))).toEqual({ ...run, epoch: 1 });
  expect(after(created, started(1), abandoned(1)).openRuns.size).toBe(0);
  expect(after(created, started(1), committed(1)).openRuns.size).toBe(0);
});

test('points are kept in commit order, whatever order their runs started in', () => {
  const state = after(created, started(1), started(2), started(3), committed(3), committed(1), committed(2));
  expect([...state.points.values()].map(({ point }) => point)).toEqual([3, 1, 2].map(pointFor));
});

test('an abandoned run leaves nothing behind', () => {
  const { position: _, digest: __, ...before } = after(created);
  const { position, digest, ...rest } = after(created, started(1), abandoned(1));
  expect([position, digest]).toEqual([3, nameFor('entry 3')]);
  expect(rest).toEqual(before);
});

test('a condemned point is gone, the others stay, and every condemned name is remembered', () => {
  const lists = { packs: [nameFor('p')], pages: [nameFor('q')], manifests: [manifestFor(1)], points: [pointFor(1)] };
  const state = after(created, started(1), started(2), committed(1), committed(2), expired(1), condemned(lists));
  expect(state.expired.size).toBe(0);
  expect([...state.points.keys()]).toEqual([runFor(2)]);
  expect([...state.condemned].sort()).toEqual(Object.values(lists).flat().sort());
});

test('a waiver does not undo a confirmed escrow', () => {
  const waived: JournalEntry = { type: 'escrow-waived', at: AT };
  const confirmed: JournalEntry = { type: 'escrow-confirmed', recipient: 'safe', at: AT };
  expect(after(created).escrow).toBe('missing');
  expect(after(created, waived).escrow).toBe('waived');
  expect(after(created, waived, confirmed, waived).escrow).toBe('confirmed');
});

test('the recipients are those of the beginning, and those added, less those that a rotation leaves out', () => {
  const names = (state: VaultState) => [...state.recipients.keys()];
  expect(names(after(created))).toEqual([1, 2].map(recipientFor));
  const state = after(created, added(3), rotated(2, 1, 3));
  expect(names(state)).toEqual([1, 3].map(recipientFor));
  expect(state.recipients.get(recipientFor(3))).toEqual({
    ...{ recipient: recipientFor(3), kind: 'key-file', since: AT, sinceEpoch: 1 },
    key: nameFor('epoch 2'),
  });
  expect(state.removed.get(recipientFor(2))).toMatchObject({ kind: 'escrow', lastEpoch: 1, removedAt: AT });
  expect(state.epochs.map(({ epoch, position, key }) => [epoch, position, key])).toEqual([
    [1, 1, undefined],
    [2, 3, nameFor('epoch 2')],
  ]);
  const again = after(created, rotated(2, 1), added(2));
  expect([...again.removed]).toEqual([]);
  expect(again.recipients.get(recipientFor(2))).toMatchObject({ sinceEpoch: 2, key: nameFor('key 2') });
});

test('a key that a rotation leaves alone needs escrow again', () => {
  const confirmed: JournalEntry = { type: 'escrow-confirmed', recipient: recipientFor(2), at: AT };
  const waived: JournalEntry = { type: 'escrow-waived', at: AT };
  expect(after(created, confirmed, rotated(2, 1, 2)).escrow).toBe('confirmed');
  expect(after(created, confirmed, rotated(2, 1)).escrow).toBe('missing');
  expect(after(created, waived, rotated(2, 1)).escrow).toBe('waived');
});

test('a run is of the epoch in which it started', () => {
  const { openRuns } = after(created, started(1), rotated(2, 1), started(2));
  expect([...openRuns.values()].map(({ epoch }) => epoch)).toEqual([1, 2]);
});

const dead = (n: number) => condemned({ packs: [nameFor(`pack ${n}`)] });
const foldOf = (...entries: JournalEntry[]) => after(...entries);

describe('condemned names of an older epoch are', () => {
  const names = (...entries: JournalEntry[]) => [...foldOf(...entries).condemned];

  test('kept while that epoch is in force, and forgotten when it ends', () => {
    expect(names(created, dead(1), dead(2))).toEqual([1, 2].map((n) => nameFor(`pack ${n}`)));
    expect(names(created, dead(1), rotated(2, 1))).toEqual([]);
    expect(names(created, dead(1), rotated(2, 1), dead(2))).toEqual([nameFor('pack 2')]);
  });

  test('kept as long as a run is open that started under it or before', () => {
    const open = [created, started(1), dead(1), rotated(2, 1), dead(2), started(2), rotated(3, 1), dead(3)];
    expect(names(...open)).toEqual([1, 2, 3].map((n) => nameFor(`pack ${n}`)));
    expect(names(...open, abandoned(1))).toEqual([2, 3].map((n) => nameFor(`pack ${n}`)));
    expect(names(...open, abandoned(2))).toEqual([1, 2, 3].map((n) => nameFor(`pack ${n}`)));
    expect(names(...open, abandoned(2), committed(1))).toEqual([nameFor('pack 3')]);
  });

  test('counted under the epoch in which they were condemned first', () => {
    const state = foldOf(created, started(1), dead(1), dead(1), rotated(2, 1), dead(1), dead(2));
    expect(state.condemnedUnder).toEqual([
      { epoch: 1, names: 1 },
      { epoch: 2, names: 1 },
    ]);
  });
});

test.each<[string, string, JournalEntry[], JournalEntry]>([
  ['starts an epoch twice', 'bad-input', [created, rotated(2, 1)], rotated(2, 1)],
  ['leaves out an epoch', 'bad-input', [created], rotated(3, 1)],
  ['starts an epoch that nobody opens', 'bad-input', [created], rotated(2)],
  ['starts an epoch for a stranger', 'bad-input', [created], rotated(2, 1, 7)],
  ['starts an epoch for one who was removed', 'bad-input', [created, rotated(2, 1)], rotated(3, 1, 2)],
  ['starts an epoch with one key twice', 'bad-input', [created], rotated(2, 1, 1)],
  ['adds a recipient twice', 'bad-input', [created, added(3)], added(3)],
  ['adds the 65th recipient', 'bad-input', [created, ...Array.from({ length: 62 }, (_, n) => added(n + 3))], added(99)],
  ['begins without vault-created', 'bad-input', [], started(1)],
  ['creates the vault twice', 'bad-input', [created], created],
  ['commits a run that never started', 'run-ended', [created], committed(1)],
  ['commits a run twice', 'run-ended', [created, started(1), committed(1)], committed(1)],
  ['commits an abandoned run', 'run-ended', [created, started(1), abandoned(1)], committed(1)],
  ['abandons a committed run', 'run-ended', [created, started(1), committed(1)], abandoned(1)],
  ['starts an open run', 'bad-input', [created, started(1)], started(1)],
  ['starts a committed run', 'bad-input', [created, started(1), committed(1)], started(1)],
  ['commits for another group', 'bad-input', [created, started(1)], committed(1, { group: 'db' })],
  ['commits a condemned point', 'condemned', [created, started(1), condemned({ points: [pointFor(1)] })], committed(1)],
  [
    'commits a condemned manifest',
    'condemned',
    [created, started(1), condemned({ manifests: [manifestFor(1)] })],
    committed(1),
  ],
  [
    'condemns the manifest of a live point',
    'bad-input',
    [created, started(1), committed(1)],
    condemned({ manifests: [manifestFor(1)] }),
  ],
  [
    'condemns a point that has not expired',
    'bad-input',
    [created, started(1), committed(1)],
    condemned({ points: [pointFor(1)], manifests: [manifestFor(1)] }),
  ],
  [
    'condemns the manifest of an expired point',
    'bad-input',
    [created, started(1), committed(1), expired(1)],
    condemned({ manifests: [manifestFor(1)] }),
  ],
  ['starts an expired run', 'bad-input', [created, started(1), committed(1), expired(1)], started(1)],
  ['expires a point twice', 'point-unknown', [created, started(1), committed(1), expired(1)], expired(1)],
  ['expires a point twice in one entry', 'bad-input', [created, started(1), committed(1)], expired(1, 1)],
  ['brings back a point that is there', 'point-unknown', [created, started(1), committed(1)], undeleted(1)],
  [
    'brings back a condemned point',
    'point-unknown',
    [created, started(1), committed(1), expired(1), condemned({ points: [pointFor(1)] })],
    undeleted(1),
  ],
  ['expires a point under a legal hold', 'held', [created, started(1), committed(1), held(1)], expired(1)],
  [
    'condemns a point that is being read',
    'held',
    [created, started(1), committed(1), held(1, 'read'), expired(1)],
    condemned({ points: [pointFor(1)] }),
  ],
  ['holds a point that is not there', 'point-unknown', [created], held(1)],
  ['lays a legal hold on an expired point', 'point-unknown', [created, started(1), committed(1), expired(1)], held(1)],
  ['places a hold twice', 'bad-input', [created, started(1), committed(1), held(1)], held(1)],
  ['releases a hold that nobody has', 'bad-input', [created], released(1)],
  ['moves a pack twice', 'bad-input', [created, moved(1)], moved(1)],
  ['moves a condemned pack', 'condemned', [created, condemned({ packs: [nameFor('sparse 1')] })], moved(1)],
  ['moves by a condemned move', 'condemned', [created, condemned({ moves: [nameFor('move 1')] })], moved(1)],
])('a journal that %s is broken', (_, code, before, entry) => {
  const state = after(...before);
  expect(objectionTo(state, entry)?.code).toBe(code);
  expect(() => applyEntry(state, place(state, entry))).toThrow(expect.objectContaining({ code: 'journal-broken' }));
});

test('positions neither jump nor repeat', () => {
  const state = after(created, started(1));
  for (const position of [0, 1, 2, 4, 5]) {
    expect(() => applyEntry(state, { ...place(state, started(2)), position })).toThrow(
      expect.objectContaining({ code: 'journal-broken' }),
    );
  }
});

test('a state never changes once it was given away', () => {
  const state = after(created, started(1), started(2), committed(2));
  const before = structuredClone(plain(state));
  for (const entry of [
    committed(1),
    abandoned(1),
    started(3),
    expired(2),
    held(2),
    moved(1),
    verified([1], [nameFor('p')]),
  ]) {
    applyEntry(state, place(state, entry));
  }
  expect(plain(state)).toEqual(before);
});

test('an expired point may be brought back, and is then where it was: the newest is the newest again', () => {
  const before = after(created, started(1), started(2), started(3), committed(3), committed(1), committed(2));
  const state = after(
    ...[created, started(1), started(2), started(3), committed(3), committed(1), committed(2)],
    ...[expired(2, 3), undeleted(3), undeleted(2)],
  );
  expect([...state.points.values()]).toEqual([...before.points.values()]);
  expect(state.expired.size).toBe(0);
});

test('a point may expire while it is read', () => {
  const state = after(created, started(1), committed(1), held(1, 'read'), expired(1));
  expect([...state.expired.keys()]).toEqual([runFor(1)]);
  expect(after(created, started(1), committed(1), held(1), released(1), expired(1)).points.size).toBe(0);
});

test('each group has its own retention policy, and what it replaced is remembered', () => {
  const set = (daily: number, group?: string): JournalEntry => ({
    type: 'retention-set',
    ...(group === undefined ? {} : { group }),
    policy: { daily, timeZone: 'UTC' },
    confirmed: true,
    at: AT,
  });
  const { retention } = after(created, set(30), set(7, 'web'), set(3, 'web'));
  expect(retention.get(ANY_GROUP)).toEqual({ policy: { daily: 30, timeZone: 'UTC' }, confirmed: true, at: AT });
  expect(retention.get('web')).toMatchObject({ policy: { daily: 3 }, previous: { daily: 7 } });
});

test('a moved pack is found by its move until the move is condemned', () => {
  expect(after(created, moved(1), moved(2)).moved.get(nameFor('sparse 1'))).toBe(nameFor('move 1'));
  const state = after(created, moved(1), moved(2), condemned({ moves: [nameFor('move 1')] }));
  expect([...state.moved.keys()]).toEqual([nameFor('sparse 2')]);
});

test('a damaged object is remembered until it is repaired or condemned', () => {
  const bad = ['a', 'b', 'c'].map(nameFor);
  const repaired: JournalEntry = { type: 'objects-repaired', objects: [nameFor('a')], at: AT };
  const state = after(created, verified([3, 4], bad), repaired, condemned({ packs: [nameFor('b')] }));
  expect([...state.damaged]).toEqual([nameFor('c')]);
  expect([...state.verified.keys()]).toEqual([3, 4]);
  expect(state.verified.get(3)).toEqual({ at: AT, keyed: true, position: 2 });
});

test('until when a shard is locked is never told to be sooner than it was', () => {
  const extended = (shards: number[], until: string): JournalEntry => ({
    type: 'locks-extended',
    shards,
    until,
    at: AT,
  });
  const [sooner, later] = ['2027-01-01T00:00:00.000Z', '2027-02-01T00:00:00.000Z'];
  const state = after(created, extended([1, 2], later), extended([2, 3], sooner));
  expect([...state.lockedUntil]).toEqual([
    [1, later],
    [2, later],
    [3, sooner],
  ]);
});
