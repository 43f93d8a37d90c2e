import { expect, test } from 'vitest';
import type { JournalEntry } from '#vault/journal/entries.ts';
import { objectionTo } from '#vault/journal/objections.ts';
import { applyEntry, EMPTY_STATE, type VaultState } from '#vault/journal/state.ts';
import {
  AT,
  abandoned,
  committed,
  condemned,
  created,
  manifestFor,
  nameFor,
  plain,
  pointFor,
  runFor,
  started,
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
  const state = after(created, started(1), started(2), committed(1), committed(2), condemned(lists));
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
    condemned({ points: [pointFor(2)], packs: [nameFor('p')] }),
  ]) {
    applyEntry(state, place(state, entry));
  }
  expect(plain(state)).toEqual(before);
});
