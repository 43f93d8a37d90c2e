import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JournalEntry } from '#vault/journal/entries.ts';
import { type PlacedEntry, startFold } from '#vault/journal/fold.ts';
import { objectionTo } from '#vault/journal/objections.ts';
import { EMPTY_STATE, type VaultState } from '#vault/journal/state.ts';
import { decodeState, encodeState } from '#vault/journal/state-record.ts';
import {
  abandoned,
  added,
  committed,
  condemned,
  created,
  expired,
  held,
  keyringFrom,
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
  takenOver,
  undeleted,
  verified,
} from './histories.ts';

const keyring = keyringFrom(7);
const member = fc.integer({ min: 1, max: 4 });
/** What a vault that is rotated wishes, too. */
const keyWish: fc.Arbitrary<JournalEntry> = fc.oneof(
  member.map(added),
  fc.tuple(fc.integer({ min: 2, max: 9 }), fc.uniqueArray(member)).map(([epoch, kept]) => rotated(epoch, ...kept)),
);
const number = fc.integer({ min: 1, max: 12 });
const wish: fc.Arbitrary<JournalEntry> = fc.oneof(
  number.map(started),
  number.map(abandoned),
  number.map(takenOver),
  number.map((n) => committed(n)),
  number.map((n) => condemned({ points: [pointFor(n)] })),
  number.map((n) => condemned({ points: [pointFor(n)], manifests: [manifestFor(n)] })),
  number.map((n) => condemned({ packs: [nameFor(`pack ${n}`)] })),
  number.map((n) => expired(n)),
  number.map((n) => undeleted(n)),
  number.map((n) => held(n)),
  number.map((n) => held(n, 'read')),
  number.map(released),
  number.map(moved),
  number.map((n) => condemned({ moves: [nameFor(`move ${n}`)], packs: [nameFor(`sparse ${n}`)] })),
  number.map((n) => verified([n, n + 100], [nameFor(`pack ${n}`)])),
);

/** Rotations come in any order that a journal takes. */
const rotating = fc.array(fc.oneof({ weight: 3, arbitrary: wish }, { weight: 1, arbitrary: keyWish }), {
  maxLength: 60,
});

/** What of a list of wishes a journal takes. */
function history(wishes: readonly JournalEntry[]): PlacedEntry[] {
  const fold = startFold(EMPTY_STATE);
  return [created, ...wishes].flatMap((entry) => {
    if (objectionTo(fold.state, entry)) return [];
    const position = fold.state.position + 1;
    const placed = { position, digest: nameFor(`entry ${position}`), entry };
    fold.add(placed);
    return [placed];
  });
}

function foldAll(from: VaultState, entries: readonly PlacedEntry[]): VaultState {
  const fold = startFold(from);
  for (const placed of entries) fold.add(placed);
  return fold.state;
}

test('a snapshot and the entries after it fold to what all entries fold to', () => {
  fc.assert(
    fc.property(rotating, fc.nat(), (wishes, cut) => {
      const entries = history(wishes);
      const at = 1 + (cut % entries.length);
      const snapshot = foldAll(EMPTY_STATE, entries.slice(0, at));
      const stored = encodeState(keyring.newest, snapshot);
      const read = decodeState(keyring, at, stored, 'The snapshot');
      expect(plain(read)).toEqual(plain(snapshot));
      expect(plain(foldAll(read, entries.slice(at)))).toEqual(plain(foldAll(EMPTY_STATE, entries)));
    }),
  );
});

test('the fold is what the entries say when they are read one question at a time', () => {
  fc.assert(
    fc.property(fc.array(wish, { maxLength: 60 }), (wishes) => {
      const entries = history(wishes).map(({ entry }) => entry);
      const state = foldAll(EMPTY_STATE, history(wishes));
      const dead = entries.flatMap((e) =>
        e.type === 'condemned' ? [...e.packs, ...e.pages, ...e.manifests, ...e.points, ...e.moves] : [],
      );
      const commits = entries.flatMap((e) => (e.type === 'point-committed' ? [e] : []));
      const last = (n: number) =>
        entries.findLast(
          (e) =>
            (e.type === 'run-started' || e.type === 'run-abandoned' || e.type === 'point-committed') &&
            e.run === runFor(n),
        );
      expect(state.condemned).toEqual(new Set(dead));
      const gone = (run: string) => {
        const last = entries.findLast(
          (e) => (e.type === 'points-expired' || e.type === 'points-undeleted') && e.points.includes(run),
        );
        return last?.type === 'points-expired';
      };
      const known = commits.filter(({ point }) => !dead.includes(point));
      expect([...state.points.keys()]).toEqual(known.map(({ run }) => run).filter((run) => !gone(run)));
      expect(new Set(state.expired.keys())).toEqual(new Set(known.map(({ run }) => run).filter(gone)));
      for (let n = 1; n <= 12; n++) expect(state.openRuns.has(runFor(n))).toBe(last(n)?.type === 'run-started');
    }),
  );
});

test('whatever happens, an ended run cannot commit', () => {
  fc.assert(
    fc.property(fc.array(wish, { maxLength: 60 }), (wishes) => {
      const state = foldAll(EMPTY_STATE, history(wishes));
      for (let n = 1; n <= 12; n++) {
        if (!state.openRuns.has(runFor(n))) expect(objectionTo(state, committed(n))?.code).toBe('run-ended');
      }
    }),
  );
});

test('whatever happens, a held point is there until its hold is released', () => {
  fc.assert(
    fc.property(fc.array(wish, { maxLength: 80 }), (wishes) => {
      const state = foldAll(EMPTY_STATE, history(wishes));
      for (const { kind, points } of state.holds.values()) {
        for (const run of points)
          expect(state.points.has(run) || (kind === 'read' && state.expired.has(run))).toBe(true);
      }
    }),
  );
});

test('whatever is rotated, an open run is told of every name that was condemned since it started', () => {
  fc.assert(
    fc.property(rotating, (wishes) => {
      const entries = history(wishes);
      const state = foldAll(EMPTY_STATE, entries);
      for (const run of state.openRuns.keys()) {
        const begun = entries.findLastIndex(({ entry }) => entry.type === 'run-started' && entry.run === run);
        for (const name of entries.slice(begun).flatMap(({ entry }) => deadIn(entry))) {
          expect(state.condemned.has(name)).toBe(true);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('whatever is rotated, with no run open only names of the epoch in force are kept', () => {
  fc.assert(
    fc.property(rotating, (wishes) => {
      const entries = history(wishes);
      const state = foldAll(EMPTY_STATE, entries);
      fc.pre(state.openRuns.size === 0);
      const begun = entries.findLastIndex(({ entry }) => entry.type === 'epoch-started');
      const since = new Set(entries.slice(begun + 1).flatMap(({ entry }) => deadIn(entry)));
      expect(state.condemned).toEqual(since);
    }),
    { numRuns: 300 },
  );
});

test('whatever is rotated, everybody who was ever let in is a recipient or was removed', () => {
  fc.assert(
    fc.property(rotating, (wishes) => {
      const entries = history(wishes);
      const { recipients, removed, epochs } = foldAll(EMPTY_STATE, entries);
      const ever = entries.flatMap(({ entry }) => (entry.type === 'recipient-added' ? [entry.recipient] : []));
      expect(new Set([...recipients.keys(), ...removed.keys()])).toEqual(
        new Set([recipientFor(1), recipientFor(2), ...ever]),
      );
      expect([...recipients.keys()].filter((each) => removed.has(each))).toEqual([]);
      expect(epochs.map(({ epoch }) => epoch)).toEqual(Array.from({ length: epochs.length }, (_, i) => i + 1));
      for (const { lastEpoch } of removed.values()) expect(lastEpoch).toBeLessThan(epochs.length);
    }),
  );
});

function deadIn(entry: JournalEntry): string[] {
  if (entry.type !== 'condemned') return [];
  return [...entry.packs, ...entry.pages, ...entry.manifests, ...entry.points, ...entry.moves];
}
