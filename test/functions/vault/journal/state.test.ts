import { expect, test } from 'vitest';
import type { JournalEntry } from '#vault/journal/entries.ts';
import { objectionTo } from '#vault/journal/objections.ts';
import { ANY_GROUP, applyEntry, EMPTY_STATE, type VaultState } from '#vault/journal/state.ts';
import {
  AT,
  abandoned,
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
  released,
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
  expect(after(created, started(1)).openRuns.get(runFor(1))).toEqual(run);
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

test.each<[string, string, JournalEntry[], JournalEntry]>([
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
    confirmed: false,
    at: AT,
  });
  const { retention } = after(created, set(30), set(7, 'web'), set(3, 'web'));
  expect(retention.get(ANY_GROUP)).toEqual({ policy: { daily: 30, timeZone: 'UTC' }, confirmed: false, at: AT });
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
