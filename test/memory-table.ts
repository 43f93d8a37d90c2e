import { EkkoError } from '#vault/errors.ts';
import type { JournalTable } from '#vault/journal/sql-table.ts';
import { Crash } from './faulty-store.ts';

/** What happens to one insert: it fails, or it is done and nobody is told, or the process dies before or after. */
export type InsertMishap = 'fail' | 'lose-answer' | 'crash-before' | 'crash-after';

/** A journal table in memory, for one vault; all that tests do to a database. */
export interface MemoryTable extends JournalTable {
  readonly rows: Map<number, Buffer>;
  /** The database goes back to what it was when it had `count` entries. */
  setBack(count: number): void;
  /** The same rows over another connection, whose next insert goes wrong. */
  withMishap(mishap: InsertMishap): JournalTable;
}

export function openMemoryTable(): MemoryTable {
  const rows = new Map<number, Buffer>();
  const table: JournalTable = {
    url: 'postgresql://memory/ekko',
    insert: async (_, position, entry) => {
      if (rows.has(position) || (position > 1 && !rows.has(position - 1))) return false;
      rows.set(position, Buffer.from(entry));
      return true;
    },
    has: async (_, position) => rows.has(position),
    page: async (_, from, most, longest) =>
      [...rows]
        .filter(([position]) => position >= from)
        .sort(([a], [b]) => a - b)
        .slice(0, most)
        .map(([position, bytes]) => ({ position, bytes: Buffer.from(bytes.subarray(0, longest)) })),
    remove: async () => rows.clear(),
    describe: async () => ({ product: 'Memory', doubts: [] }),
    close: async () => undefined,
  };
  return {
    ...table,
    rows,
    setBack: (count) => {
      for (const position of rows.keys()) if (position > count) rows.delete(position);
    },
    withMishap: (mishap) => withMishap(table, mishap),
  };
}

function withMishap(table: JournalTable, mishap: InsertMishap): JournalTable {
  let [pending, dead] = [true, false];
  const alive = <T>(work: () => Promise<T>): Promise<T> => {
    if (dead) throw new Crash('the process is dead');
    return work();
  };
  const spoilt: JournalTable['insert'] = async (vault, position, entry) => {
    pending = false;
    dead = mishap.startsWith('crash');
    if (mishap === 'lose-answer' || mishap === 'crash-after') await table.insert(vault, position, entry);
    if (dead) throw new Crash('the process dies');
    throw new EkkoError('store-failed', `The insert at ${position} met ${mishap}.`);
  };
  return {
    ...table,
    insert: (...args) => (pending ? spoilt(...args) : alive(() => table.insert(...args))),
    has: async (...args) => alive(() => table.has(...args)),
    page: async (...args) => alive(() => table.page(...args)),
  };
}
