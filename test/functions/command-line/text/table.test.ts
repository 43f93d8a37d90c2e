import { expect, test } from 'vitest';
import { formatFields, formatTable } from '../../../../functions/command-line/text/table.ts';

test('a table is aligned, and its lines end without blanks', () => {
  const rows = [
    ['a', '1'],
    ['long name', '1000'],
  ];
  expect(formatTable([{ title: 'NAME' }, { title: 'SIZE', align: 'right' }], rows)).toEqual([
    'NAME       SIZE',
    'a             1',
    'long name  1000',
  ]);
});

test('a name of 10,000 characters does not tear a table apart', () => {
  const lines = formatTable([{ title: 'NAME' }, { title: 'X' }], [['n'.repeat(10_000), 'x']]);
  expect(lines[1]).toBe(`${'n'.repeat(39)}…  x`);
});

test('fields without a value are left out, and values stand below each other', () => {
  const fields = [
    ['size', '1 GiB'],
    ['nothing', undefined],
    ['stored', '2 MiB'],
  ] as const;
  expect(formatFields(fields)).toEqual(['  size    1 GiB', '  stored  2 MiB']);
});
