import { plainText } from './plain-text.ts';

export interface Column {
  readonly title: string;
  /** Numbers stand right, so that they can be compared. */
  readonly align?: 'left' | 'right';
  /** Longer cells are cut: one name of 255 characters must not tear every line apart. Default 40. */
  readonly widest?: number;
}

const WIDEST = 40;
const GAP = '  ';

/** A table as lines, without blanks at their ends. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const titles = columns.map(({ title }) => title);
  const cells = [titles, ...rows].map((row) => row.map((cell, at) => plainText(cell, columns[at]?.widest ?? WIDEST)));
  const widths = columns.map((_, at) => Math.max(...cells.map((row) => widthOf(row[at] ?? ''))));
  return cells.map((row) =>
    columns
      .map(({ align }, at) => padded(row[at] ?? '', widths[at] ?? 0, align))
      .join(GAP)
      .trimEnd(),
  );
}

/** `label  value` lines, indented, the values below each other; what has no value is left out. */
export function formatFields(
  fields: readonly (readonly [label: string, value: string | undefined])[],
  indent = '  ',
): string[] {
  const given = fields.flatMap(([label, value]) => (value === undefined ? [] : [[label, plainText(value)] as const]));
  const width = Math.max(0, ...given.map(([label]) => label.length));
  return given.map(([label, value]) => `${indent}${label.padEnd(width)}${GAP}${value}`.trimEnd());
}

function padded(cell: string, width: number, align: Column['align']): string {
  const blanks = ' '.repeat(width - widthOf(cell));
  return align === 'right' ? blanks + cell : cell + blanks;
}

/** Characters as people count them; wide ones of East Asia count once, which only costs alignment. */
function widthOf(cell: string): number {
  return [...cell].length;
}
