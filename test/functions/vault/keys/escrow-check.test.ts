import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkSymbols, findErrors } from '#vault/keys/escrow-check.ts';

const WIDTH = 5;
const ROWS = 13;
const symbol = fc.nat({ max: 31 });
const data = fc.array(symbol, { minLength: 11 * WIDTH, maxLength: 11 * WIDTH });
const row = fc.nat({ max: ROWS - 1 });
const column = fc.nat({ max: WIDTH - 1 });
const error = fc.integer({ min: 1, max: 31 });

const coded = (symbols: readonly number[]) => [...symbols, ...checkSymbols(symbols, WIDTH)];
const wrong = (code: readonly number[], r: number, c: number, by: number) =>
  code.with(r * WIDTH + c, (code[r * WIDTH + c] ?? 0) ^ by);

test('a code as it was made has no errors', () => {
  fc.assert(
    fc.property(data, (symbols) => {
      expect(findErrors(coded(symbols), WIDTH)).toBe('none');
    }),
  );
});

test('an error is located, in the check groups too', () => {
  fc.assert(
    fc.property(data, row, column, error, (symbols, r, c, by) => {
      expect(findErrors(wrong(coded(symbols), r, c, by), WIDTH)).toBe(r);
    }),
  );
});

test('equal errors in two groups, which cancel out in the first sum, are told from one', () => {
  fc.assert(
    fc.property(data, row, row, column, error, (symbols, r1, r2, c, by) => {
      fc.pre(r1 !== r2);
      expect(findErrors(wrong(wrong(coded(symbols), r1, c, by), r2, c, by), WIDTH)).toBe('several');
    }),
  );
});

test('errors in two columns of different groups are told from one', () => {
  fc.assert(
    fc.property(data, row, row, error, error, (symbols, r1, r2, by1, by2) => {
      fc.pre(r1 !== r2);
      expect(findErrors(wrong(wrong(coded(symbols), r1, 0, by1), r2, 3, by2), WIDTH)).toBe('several');
    }),
  );
});

test('two errors in one column are noticed, and never blamed on a group that is not there', () => {
  fc.assert(
    fc.property(data, row, row, column, error, error, (symbols, r1, r2, c, by1, by2) => {
      fc.pre(r1 !== r2);
      const found = findErrors(wrong(wrong(coded(symbols), r1, c, by1), r2, c, by2), WIDTH);
      expect(found).not.toBe('none');
      if (found !== 'several') expect(found).toBeLessThan(ROWS);
    }),
    { numRuns: 1000 },
  );
});
