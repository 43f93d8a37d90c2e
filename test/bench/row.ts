import { formatSize } from '../../functions/command-line/text/sizes.ts';

export type Unit = 's' | 'x' | '%' | 'B' | 'B/s' | 'requests' | 'requests/GiB' | 'packs';

/** One figure of the bench. `goal` and `holds` are null for figures that are only shown. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: Unit;
  readonly goal: string | null;
  readonly holds: boolean | null;
}

export function shown(name: string, value: number, unit: Unit): Row {
  return { name, value, unit, goal: null, holds: null };
}

export function atMost(name: string, value: number, unit: Unit, most: number): Row {
  return { name, value, unit, goal: `<= ${formatValue(most, unit)}`, holds: value <= most };
}

export function below(name: string, value: number, unit: Unit, limit: number): Row {
  return { name, value, unit, goal: `< ${formatValue(limit, unit)}`, holds: value < limit };
}

export function atLeast(name: string, value: number, unit: Unit, least: number): Row {
  return { name, value, unit, goal: `>= ${formatValue(least, unit)}`, holds: value >= least };
}

/** A figure for people. */
export function formatValue(value: number, unit: Unit): string {
  if (unit === 'B') return formatSize(value);
  if (unit === 'B/s') return `${formatSize(value)}/s`;
  if (unit === 'requests' || unit === 'packs') return `${Math.round(value)} ${unit}`;
  // Three digits: what just misses its goal must not look as if it held.
  return `${value >= 100 ? Math.round(value) : Number(value.toPrecision(3))} ${unit}`;
}

/** The middle one, or the mean of the two in the middle. Throws when there is none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[Math.floor(sorted.length / 2)]];
  if (low === undefined || high === undefined) throw new RangeError('There is no median of nothing.');
  return (low + high) / 2;
}
