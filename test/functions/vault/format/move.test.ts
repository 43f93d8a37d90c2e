import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { u32Bytes } from '#vault/format/bytes.ts';
import { decodeMove, encodeMove, type Move, type MovedRun } from '#vault/format/move.ts';

const OLD = 'a1'.repeat(48);
const OTHER = 'b2'.repeat(48);
const TARGET = 'c3'.repeat(48);

const reference = fc.uint8Array({ minLength: 48, maxLength: 48 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const gaps = fc.array(fc.tuple(fc.nat(5), fc.integer({ min: 1, max: 9 }), fc.nat(3), fc.nat(900)), { maxLength: 50 });
const moves: fc.Arbitrary<Move> = fc
  .tuple(
    fc.uniqueArray(reference, { minLength: 5, maxLength: 20, selector: (text) => text.slice(0, 64) }),
    fc.array(gaps, { maxLength: 8 }),
  )
  .map(([names, lists]) => ({
    packs: lists
      .slice(0, names.length - 4)
      .map((list, i) => ({ pack: names[i + 4] ?? '', runs: runsOf(list, names.slice(0, 4)) })),
  }));

function runsOf(list: readonly (readonly [number, number, number, number])[], targets: readonly string[]): MovedRun[] {
  let first = 0;
  return list.map(([gap, count, target, targetFirst]) => {
    const run = { first: first + gap, count, target: targets[target] ?? '', targetFirst };
    first += gap + count;
    return run;
  });
}

test('a move comes back as it was', () => {
  fc.assert(
    fc.property(moves, (move) => {
      expect(decodeMove(encodeMove(move), 'x')).toEqual(move);
    }),
  );
});

test('a move cut short or with a byte too many is refused', () => {
  const bytes = encodeMove({ packs: [{ pack: OLD, runs: [{ first: 1, count: 2, target: TARGET, targetFirst: 3 }] }] });
  for (let end = 0; end < bytes.length; end++) {
    expect(() => decodeMove(bytes.subarray(0, end), 'moves/x')).toThrowError(
      expect.objectContaining({ code: 'bad-format' }),
    );
  }
  expect(() => decodeMove(Buffer.concat([bytes, Buffer.alloc(1)]), 'moves/x')).toThrowError(
    /moves\/x has 1 bytes too many/,
  );
});

const run = (first: number, count: number, target = TARGET, targetFirst = 0): MovedRun => ({
  first,
  count,
  target,
  targetFirst,
});
const move = (...runs: MovedRun[]): Move => ({ packs: [{ pack: OLD, runs }] });

describe('a move is refused', () => {
  test.each<[string, Move, RegExp]>([
    ['whose runs overlap', move(run(0, 5), run(4, 5)), /segments 4\+5/],
    ['whose runs go back', move(run(10, 1), run(0, 1)), /segments 0\+1/],
    ['with a run of nothing', move(run(0, 0)), /segments 0\+0/],
    ['with a run beyond its pack', move(run(1020, 5)), /segments 1020\+5/],
    ['with a run beyond its target', move(run(0, 5, TARGET, 1020)), /to 1020/],
    [
      'that moves a pack twice',
      {
        packs: [
          { pack: OLD, runs: [] },
          { pack: OLD, runs: [] },
        ],
      },
      /twice/,
    ],
    [
      'that moves segments into a pack that it empties',
      {
        packs: [
          { pack: OLD, runs: [run(0, 1, OTHER)] },
          { pack: OTHER, runs: [] },
        ],
      },
      /which it empties/,
    ],
    [
      'that moves segments into a pack of that name under another tag',
      { packs: [{ pack: OLD, runs: [run(0, 1, OLD.slice(0, 64) + 'ff'.repeat(16))] }] },
      /which it empties/,
    ],
  ])('%s', (_, bad, message) => {
    expect(() => decodeMove(encodeMove(bad), 'moves/x')).toThrowError(message);
  });

  test('whose counts are larger than any can be', () => {
    for (const head of [
      [257, 0],
      [0, 2 ** 31],
      [4_000_000_000, 1],
    ])
      expect(() => decodeMove(u32Bytes(head), 'x')).toThrowError(/at most/);
  });

  test('that names a target which it does not list', () => {
    const bytes = encodeMove(move(run(0, 1)));
    bytes.writeUInt32LE(7, bytes.length - 8);
    expect(() => decodeMove(bytes, 'x')).toThrowError(/target 7 of 1/);
  });

  test('before it is written, where it names what is no reference', () => {
    expect(() => encodeMove(move(run(0, 1, 'abc')))).toThrowError(/not the reference/);
  });
});
