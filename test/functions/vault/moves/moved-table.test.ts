import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { packMovedTable, readMovedTable } from '#vault/moves/moved-table.ts';

const name = () => randomBytes(32).toString('hex');

test.each([0, 1, 2, 3, 1000])('a table of %d moved packs tells what it was made of, and of nothing else', (size) => {
  const moved = new Map(Array.from({ length: size }, () => [name(), name()]));
  const table = readMovedTable(packMovedTable(moved));
  for (const [pack, move] of moved) expect(table.get(pack)).toBe(move);
  for (let i = 0; i < 50; i++) expect(table.get(name())).toBeUndefined();
  expect(new Map(table)).toEqual(moved);
  expect(readMovedTable(packMovedTable(table)).get([...moved.keys()][0] ?? name())).toBe([...moved.values()][0]);
});
