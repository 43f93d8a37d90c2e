import { formatCount } from './sizes.ts';

const MOST_LINES = 1000;

/** The first 1,000 lines, and how many more there are, as `noun`; JSON has them all. A terminal is no place for a hundred thousand. */
export function firstLines(lines: readonly string[], noun: string): readonly string[] {
  const more = lines.length - MOST_LINES;
  return more > 0 ? [...lines.slice(0, MOST_LINES), `And ${formatCount(more, `more ${noun}`)}: see --json.`] : lines;
}
