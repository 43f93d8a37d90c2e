import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeOf } from '#vault/errors.ts';
import { adoptJournal } from '#vault/journal/adopt-journal.ts';
import type { Journal } from '#vault/journal/journal.ts';
import { createMirroredJournal, createMirrorReader } from '#vault/journal/mirrored-journal.ts';
import { createSqlJournal } from '#vault/journal/sql-journal.ts';
import type { JournalTable } from '#vault/journal/sql-table.ts';
import { openVaultJournal, type VaultJournal } from '#vault/journal/vault-journal.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { Folder, journalKey } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { journalConformance } from '../../../conformance/journal.ts';
import { keysIn } from '../../../damage.ts';
import { type Fault, type Mishap, openFaultyStore } from '../../../faulty-store.ts';
import { type InsertMishap, type MemoryTable, openMemoryTable } from '../../../memory-table.ts';
import { abandoned, committed, created, runFor, started } from './histories.ts';
import { chain, keyring, readAll, replace } from './histories-on-stores.ts';

const VAULT = '0'.repeat(32);
const broken = expect.objectContaining({ code: 'journal-broken' });

const mirrored = (table: JournalTable, store: ObjectStore) =>
  createMirroredJournal(createSqlJournal(table, VAULT), store);
const openOn = (journal: Journal, store: ObjectStore): Promise<VaultJournal> =>
  openVaultJournal({ journal, store, keyring });

journalConformance('a table in memory', () => {
  const table = openMemoryTable();
  return {
    open: () => createSqlJournal(table, VAULT),
    lose: async (position) => void table.rows.delete(position),
  };
});

journalConformance('a table in memory with its copy in the vault', () => {
  const [table, store] = [openMemoryTable(), openMemoryStore()];
  return { open: () => mirrored(table, store), lose: async (position) => void table.rows.delete(position) };
});

interface World {
  readonly table: MemoryTable;
  readonly store: ObjectStore;
  readonly vault: VaultJournal;
}

/** A vault of `count` entries. */
async function worldOf(count: number): Promise<World> {
  const [table, store] = [openMemoryTable(), openMemoryStore()];
  const vault = await openOn(mirrored(table, store), store);
  await vault.append(() => created);
  for (let n = 2; n <= count; n++) await vault.append(() => started(n));
  return { table, store, vault };
}

/** The copy is the journal, byte for byte. */
async function expectSame({ table, store }: Pick<World, 'table' | 'store'>): Promise<void> {
  const rows = [...table.rows].map(([position, bytes]) => [position, bytes.toString('latin1')]);
  expect(await readAll(createMirrorReader(store))).toEqual(rows);
  expect(await keysIn(store, Folder.journal)).toEqual([...table.rows.keys()].map(journalKey));
}

describe('the copy', () => {
  test('is the journal, byte for byte', async () => {
    await expectSame(await worldOf(40));
  });

  test('is complete when an append resolves, whatever another writer has left out', async () => {
    const { table, store, vault } = await worldOf(3);
    const other = await openOn(mirrored(table.withMishap('crash-after'), store), store);
    await expect(other.append(() => started(8))).rejects.toThrow('the process');
    expect([table.rows.size, (await keysIn(store, Folder.journal)).length]).toEqual([4, 3]);
    await vault.append(() => started(9));
    await expectSame({ table, store });
    expect([...vault.state().openRuns.keys()]).toEqual([2, 3, 8, 9].map(runFor));
  });

  test('that was lost is written anew by whoever opens the vault', async () => {
    const { table, store } = await worldOf(70);
    await store.remove(await keysIn(store, Folder.journal));
    await store.remove(await keysIn(store, Folder.states));
    await openOn(mirrored(table, store), store);
    await expectSame({ table, store });
  });

  test('may be written by a reader and the writer at the same time', async () => {
    const { table, store, vault } = await worldOf(3);
    const reader = await openOn(mirrored(table, store), store);
    await Promise.all([vault.append(() => started(4)), reader.refresh(), reader.refresh()]);
    expect((await reader.refresh()).position).toBe(4);
    await expectSame({ table, store });
  });

  test('serves readers without the database, who cannot write', async () => {
    const { store, vault } = await worldOf(5);
    const reader = await openOn(createMirrorReader(store), store);
    expect(reader.state().digest).toBe(vault.state().digest);
    const refused = expect.objectContaining({ code: 'bad-input', message: expect.stringMatching(/--journal-file/) });
    await expect(reader.append(() => started(9))).rejects.toEqual(refused);
    expect((await vault.refresh()).position).toBe(5);
  });
});

/** Appends one more run in a process that meets the fault; what it was told, and what the next process finds. */
async function appendWith(table: JournalTable, faults: readonly Fault[], { store }: World) {
  const faulty = openFaultyStore(store, faults);
  const told = await openOn(mirrored(table, faulty), faulty)
    .then((vault) => vault.append(() => started(9)))
    .then(
      () => 'done' as const,
      () => 'failed' as const,
    );
  return told;
}

describe('a process that fails or dies in the middle of an append', () => {
  const STORE_MISHAPS: readonly Mishap[] = [
    'fail',
    'lose-answer',
    'repeat',
    'crash-before',
    'crash-after',
    'disk-full',
  ];
  const INSERT_MISHAPS: readonly InsertMishap[] = ['fail', 'lose-answer', 'crash-before', 'crash-after'];

  const check = async (world: World, told: 'done' | 'failed') => {
    const { table, store } = world;
    const next = await openOn(mirrored(table, store), store);
    const entries = next.state().position;
    expect(entries).toBeGreaterThanOrEqual(told === 'done' ? 4 : 3);
    expect(entries).toBeLessThanOrEqual(4);
    await expectSame(world);
    await next.append(() => started(10));
    expect([...next.state().openRuns.keys()].filter((run) => run === runFor(9))).toHaveLength(entries - 3);
    await expectSame(world);
    return entries;
  };

  test.each(STORE_MISHAPS)('at the copy (%s) leaves a whole journal behind', async (does) => {
    const world = await worldOf(3);
    const told = await appendWith(world.table, [{ on: 'create', call: 1, does, under: Folder.journal }], world);
    // The entry stands, whoever was told what.
    expect(await check(world, told)).toBe(4);
  });

  test.each(INSERT_MISHAPS)('at the database (%s) leaves a whole journal behind', async (mishap) => {
    const world = await worldOf(3);
    await check(world, await appendWith(world.table.withMishap(mishap), [], world));
  });

  test('at any of its requests leaves a whole journal behind', async () => {
    for (const on of ['get', 'list', 'create'] as const) {
      for (let call = 1; call <= 5; call++) {
        const world = await worldOf(3);
        await check(world, await appendWith(world.table, [{ on, call, does: 'crash-before' }], world));
      }
    }
  });

  test('is not told that all is well while the copy cannot be written', async () => {
    const world = await worldOf(3);
    const full: Fault = { on: 'create', call: 1, does: 'disk-full', under: Folder.journal };
    expect(await appendWith(world.table, [full], world)).toBe('failed');
  });

  test('whose copy fails once is helped by the second look', async () => {
    const world = await worldOf(3);
    const once: Fault = { on: 'create', call: 1, does: 'fail', under: Folder.journal };
    expect(await appendWith(world.table, [once], world)).toBe('done');
    await expectSame(world);
  });
});

describe('a database that was set back to an older state', () => {
  test.each([0, 1, 5, 9])(
    'to %i of 10 entries is refused by whoever opens the vault, and stays as it is',
    async (count) => {
      const { table, store } = await worldOf(10);
      table.setBack(count);
      const opening = openOn(mirrored(table, store), store);
      const found = count === 0 ? 'has no entry of this vault' : `ends at entry ${count}`;
      await expect(opening).rejects.toMatchObject({
        code: 'journal-broken',
        message: expect.stringMatching(new RegExp(`${found}, but its copy in memory: goes on to entry 10.*adopt`)),
      });
      expect(table.rows.size).toBe(count);
      expect(await keysIn(store, Folder.journal)).toHaveLength(10);
    },
  );

  test.each([0, 5, 9])('to %i of 10 entries is refused by who has the vault open', async (count) => {
    const { table, store, vault } = await worldOf(10);
    table.setBack(count);
    await expect(vault.append(() => started(99))).rejects.toEqual(broken);
    expect(table.rows.size).toBe(count);
    expect(await keysIn(store, Folder.journal)).toHaveLength(10);
  });

  test('is refused behind a snapshot of the state too', async () => {
    const { table, store } = await worldOf(130);
    for (const count of [129, 128, 127, 64, 63, 3]) {
      table.setBack(count);
      await expect(openOn(mirrored(table, store), store)).rejects.toEqual(broken);
    }
  });

  test('is refused though the copies next to its end are missing', async () => {
    const { table, store } = await worldOf(10);
    table.setBack(5);
    await store.remove([6, 7, 8].map(journalKey));
    await expect(openOn(mirrored(table, store), store)).rejects.toEqual(broken);
  });

  test("between another writer's look and its append takes no second entry for a position", async () => {
    const { table, store } = await worldOf(10);
    const late: JournalTable = {
      ...table,
      insert: (vault, position, entry) => {
        table.setBack(4);
        return table.insert(vault, position, entry);
      },
    };
    const vault = await openOn(mirrored(late, store), store);
    await expect(vault.append(() => started(99))).rejects.toEqual(broken);
    expect(table.rows.size).toBe(4);
  });

  test('is told from one where another writer was just faster', async () => {
    const { table, store, vault } = await worldOf(3);
    let raced = false;
    // The other one appends between the look at the database and the look at the copy.
    const racing: JournalTable = {
      ...table,
      page: async (...args) => {
        const page = await table.page(...args);
        if (!raced && page.length === 0) {
          raced = true;
          await vault.append(() => started(8));
        }
        return page;
      },
    };
    const slow = await openOn(mirrored(racing, store), store);
    await slow.append(() => started(9));
    expect([raced, slow.state().position]).toEqual([true, 5]);
    await expectSame({ table, store });
  });

  test('is brought up to date by an adoption', async () => {
    const { table, store } = await worldOf(100);
    table.setBack(33);
    expect(await adoptJournal(createMirrorReader(store), createSqlJournal(table, VAULT))).toEqual({
      entries: 100,
      added: 67,
    });
    const vault = await openOn(mirrored(table, store), store);
    await vault.append(() => started(200));
    await expectSame({ table, store });
  });
});

describe('an entry that differs from its copy', () => {
  test.each(['the database', 'the copy'])('breaks the journal, whether %s was changed', async (which) => {
    for (const position of [1, 3, 5]) {
      const { table, store } = await worldOf(5);
      const other = Buffer.from(table.rows.get(position) ?? '').fill(1, 40, 50);
      if (which === 'the copy') await replace(store, journalKey(position), other);
      else table.rows.set(position, other);
      await expect(openOn(mirrored(table, store), store)).rejects.toMatchObject({
        code: 'journal-broken',
        message: expect.stringContaining(`Entry ${position} of the SQL journal postgresql://memory/ekko is not`),
      });
    }
  });

  test('comes of two databases used at once, and the second one is told', async () => {
    const { table, store, vault } = await worldOf(5);
    const second = openMemoryTable();
    await adoptJournal(createMirrorReader(store), createSqlJournal(second, VAULT));
    const other = await openOn(mirrored(second, store), store);
    await vault.append(() => started(8));
    await expect(other.append(() => started(9))).rejects.toEqual(broken);
    expect(table.rows.size).toBe(6);
    await vault.append(() => started(10));
    await expectSame({ table, store });
  });

  test('comes of two databases used at the same moment, and whoever copies second is told', async () => {
    const { table, store, vault } = await worldOf(5);
    const second = openMemoryTable();
    await adoptJournal(createMirrorReader(store), createSqlJournal(second, VAULT));
    const racing: JournalTable = {
      ...second,
      insert: async (...args) => {
        await vault.append(() => started(8));
        return second.insert(...args);
      },
    };
    const other = await openOn(mirrored(racing, store), store);
    await expect(other.append(() => started(9))).rejects.toEqual(broken);
    await vault.append(() => started(10));
    await expectSame({ table, store });
  });
});

describe('an adoption', () => {
  const adopt = (store: ObjectStore, table: JournalTable) =>
    adoptJournal(createMirrorReader(store), createSqlJournal(table, VAULT));

  test('fills an empty database; again it adds nothing', async () => {
    const { store, table } = await worldOf(20);
    const fresh = openMemoryTable();
    expect(await adopt(store, fresh)).toEqual({ entries: 20, added: 20 });
    expect(fresh.rows).toEqual(table.rows);
    expect(await adopt(store, fresh)).toEqual({ entries: 20, added: 0 });
  });

  test('that was cut off is finished by the next one, and until then nothing can be written', async () => {
    const { store, table } = await worldOf(20);
    const fresh = openMemoryTable();
    fresh.rows.set(1, table.rows.get(1) ?? Buffer.alloc(0));
    await expect(adopt(store, fresh.withMishap('crash-after'))).rejects.toThrow('the process');
    expect(fresh.rows.size).toBe(2);
    await expect(openOn(mirrored(fresh, store), store)).rejects.toEqual(broken);
    expect(await adopt(store, fresh)).toEqual({ entries: 20, added: 18 });
    await openOn(mirrored(fresh, store), store);
  });

  test('into a database with another history writes nothing', async () => {
    const { store } = await worldOf(20);
    const { table } = await worldOf(5);
    const before = new Map(table.rows);
    await expect(adopt(store, table)).rejects.toMatchObject({ code: 'journal-broken', message: /Entry 1 of/ });
    expect(table.rows).toEqual(before);
  });

  test('fills gaps', async () => {
    const { store, table } = await worldOf(20);
    const before = new Map(table.rows);
    for (const position of [3, 9, 10]) table.rows.delete(position);
    expect(await adopt(store, table)).toEqual({ entries: 20, added: 3 });
    expect(table.rows).toEqual(before);
  });

  test.each([
    ['the same entry is added', 0, 19],
    ['another entry is added', 1, 'journal-broken'],
  ])('while %s by somebody else', async (_, change, expected) => {
    const { store } = await worldOf(20);
    const fresh = openMemoryTable();
    const racing: JournalTable = {
      ...fresh,
      insert: async (vault, position, entry) => {
        if (position === 7) fresh.rows.set(7, Buffer.from(entry).fill(change, 0, change));
        return fresh.insert(vault, position, entry);
      },
    };
    const told = await adopt(store, racing).then(({ added }) => added, codeOf);
    expect(told).toBe(expected);
  });

  test('leaves entries alone that the copy lacks yet', async () => {
    const { store, table } = await worldOf(5);
    await store.remove([journalKey(5)]);
    expect(await adopt(store, table)).toEqual({ entries: 4, added: 0 });
    await openOn(mirrored(table, store), store);
    await expectSame({ table, store });
  });

  test('of a copy with a gap, or of none, is refused', async () => {
    const { store } = await worldOf(5);
    await store.remove([journalKey(3)]);
    await expect(adopt(store, openMemoryTable())).rejects.toEqual(broken);
    await expect(adopt(openMemoryStore(), openMemoryTable())).rejects.toEqual(broken);
  });
});

describe('a SQL journal', () => {
  const HISTORY = [created, started(1), started(2), committed(1), abandoned(2), started(3)];
  const flip = (bytes: Buffer) => Buffer.from(bytes).fill((bytes[70] ?? 0) ^ 1, 70, 71);
  const other = chain(HISTORY);
  const none = Buffer.alloc(0);
  const DAMAGES: readonly (readonly [string, (stored: Buffer[], at: number) => (Buffer | undefined)[], RegExp])[] = [
    ['fails its MAC', (stored, at) => stored.with(at, flip(stored[at] ?? none)), /fails its MAC/],
    ['is cut short', (stored, at) => stored.with(at, stored[at]?.subarray(0, 40) ?? none), /is cut short/],
    ['is empty', (stored, at) => stored.with(at, Buffer.alloc(0)), /is cut short/],
    ['is too long', (stored, at) => stored.with(at, Buffer.alloc(2 ** 21, stored[at])), /has more than/],
    ['stands at two positions', (stored, at) => stored.with(at, stored[at - 1] ?? none), /was written as entry/],
    ['is of another history', (stored, at) => stored.with(at, other[at] ?? none), /two histories are mixed/],
    ['is missing', (stored, at) => stored.map((bytes, i) => (i === at ? undefined : bytes)), /has a gap.*is missing/],
  ];

  test.each(DAMAGES)('with an entry that %s is broken, with its copy and alone', async (_, damage, words) => {
    for (const at of [1, 2, 4]) {
      const stored = chain(HISTORY);
      const [table, store] = [openMemoryTable(), openMemoryStore()];
      for (const [i, bytes] of damage(stored, at).entries()) {
        if (bytes === undefined) continue;
        table.rows.set(i + 1, bytes);
        await store.create(journalKey(i + 1), [bytes]);
      }
      const refused = { code: 'journal-broken', message: expect.stringMatching(words) };
      await expect(openOn(mirrored(table, store), store)).rejects.toMatchObject(refused);
      await expect(openOn(createSqlJournal(table, VAULT), openMemoryStore())).rejects.toMatchObject(refused);
      await expect(openOn(createMirrorReader(store), store)).rejects.toMatchObject(refused);
    }
  });
});

describe('whatever fails, dies or is set back', () => {
  const mishap = fc.constantFrom<InsertMishap | Mishap | undefined>(
    ...([undefined, undefined, 'fail', 'lose-answer', 'crash-before', 'crash-after'] as const),
  );
  const action = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('append' as const), at: fc.constantFrom('sql', 'copy'), mishap }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('append by the first process' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('set back' as const), entries: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('adopt' as const) }) },
  );

  test('every entry that was reported as done stays, once, in one history', { timeout: 60_000 }, async () => {
    const seen = { done: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 20 }), async (actions) => {
        const world = await worldOf(2);
        const { table, store, vault } = world;
        const done = [runFor(2)];
        for (const [n, each] of actions.entries()) {
          const entry = started(100 + n);
          if (each.kind === 'set back') table.setBack(Math.max(0, table.rows.size - each.entries));
          else if (each.kind === 'adopt') await adoptJournal(createMirrorReader(store), createSqlJournal(table, VAULT));
          else {
            const told = await (each.kind === 'append'
              ? appendOnce(world, entry, each)
              : vault.append(() => entry)
            ).then(
              () => 'done' as const,
              () => 'refused' as const,
            );
            seen[told]++;
            if (told === 'done') done.push(runFor(100 + n));
          }
        }
        await adoptJournal(createMirrorReader(store), createSqlJournal(table, VAULT));
        await store.remove(await keysIn(store, Folder.states));
        const runs = [...(await openOn(mirrored(table, store), store)).state().openRuns.keys()];
        expect(runs.filter((run) => done.includes(run))).toEqual(done);
        await expectSame(world);
      }),
      { numRuns: 30 },
    );
    expect(seen.done).toBeGreaterThan(10);
    expect(seen.refused).toBeGreaterThan(10);
  });

  async function appendOnce(
    { table, store }: World,
    entry: ReturnType<typeof started>,
    { at, mishap: does }: { readonly at: string; readonly mishap: InsertMishap | Mishap | undefined },
  ): Promise<void> {
    const spoilt = at === 'sql' && does !== undefined ? table.withMishap(does as InsertMishap) : table;
    const faults: Fault[] =
      at === 'copy' && does !== undefined ? [{ on: 'create', call: 1, does, under: Folder.journal }] : [];
    const faulty = openFaultyStore(store, faults);
    await (await openOn(mirrored(spoilt, faulty), faulty)).append(() => entry);
  }
});
