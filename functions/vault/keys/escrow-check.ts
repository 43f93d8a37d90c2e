/**
 * Finds typing errors in a code of groups. Each column (the first characters of all groups, the second ones, …) is a Reed-Solomon
 * word over GF(32) with two check symbols: any two wrong characters of a column are noticed, and one is located. Errors in one group,
 * however many, hit different columns and point to the same group.
 */

/** x⁵ + x² + 1, primitive over GF(2). */
const POLYNOMIAL = 0b100101;
const ORDER = 31;

const POWERS = powersOfTwo();
const LOGARITHMS = new Map(POWERS.map((power, exponent) => [power, exponent]));

/** The two check groups for `data` (symbols 0…31, whole groups of `width`): they go behind it. At most 29 groups. */
export function checkSymbols(data: readonly number[], width: number): number[] {
  const columns = Array.from({ length: width }, (_, column) => checkColumn(everyNth(data, column, width)));
  return [...columns.map(([first]) => first), ...columns.map(([, second]) => second)];
}

/** What is wrong with a code: nothing, one group (its number from 0), or more than that. */
export function findErrors(code: readonly number[], width: number): 'none' | 'several' | number {
  const groups = new Set<number | 'several'>();
  for (let column = 0; column < width; column++) {
    const found = wrongRow(everyNth(code, column, width));
    if (found !== 'none') groups.add(found);
  }
  const [only, another] = groups;
  if (only === undefined) return 'none';
  return another === undefined ? only : 'several';
}

/** Solves c₁ + c₂ = s₀ and αⁿc₁ + αⁿ⁺¹c₂ = s₁ for the column's n symbols. */
function checkColumn(symbols: readonly number[]): [number, number] {
  const n = symbols.length;
  const [s0, s1] = sums(symbols);
  const second = divide(s1 ^ multiply(power(n), s0), power(n) ^ power(n + 1));
  return [s0 ^ second, second];
}

/** A single error e in row r leaves the sums e and αʳe. */
function wrongRow(symbols: readonly number[]): 'none' | 'several' | number {
  const [s0, s1] = sums(symbols);
  if (s0 === 0 && s1 === 0) return 'none';
  if (s0 === 0 || s1 === 0) return 'several';
  const row = logarithm(divide(s1, s0));
  return row < symbols.length ? row : 'several';
}

function sums(symbols: readonly number[]): [number, number] {
  const s0 = symbols.reduce((sum, symbol) => sum ^ symbol, 0);
  const s1 = symbols.reduce((sum, symbol, row) => sum ^ multiply(power(row), symbol), 0);
  return [s0, s1];
}

function everyNth(symbols: readonly number[], first: number, width: number): number[] {
  return symbols.filter((_, at) => at % width === first);
}

function powersOfTwo(): number[] {
  const powers = [1];
  for (let last = 1; powers.length < ORDER; powers.push(last)) {
    last <<= 1;
    if (last > ORDER) last ^= POLYNOMIAL;
  }
  return powers;
}

function power(exponent: number): number {
  return POWERS[exponent % ORDER] ?? 0;
}

function logarithm(symbol: number): number {
  return LOGARITHMS.get(symbol) ?? 0;
}

function multiply(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : power(logarithm(a) + logarithm(b));
}

function divide(a: number, b: number): number {
  return a === 0 ? 0 : power(logarithm(a) - logarithm(b) + ORDER);
}
