import { beforeAll, describe, expect, test } from 'vitest';
import type { JournalEntry } from '#vault/journal/entries.ts';
import { createObjectJournal } from '#vault/journal/object-journal.ts';
import type { Vault } from '#vault/vault.ts';
import { entryWords } from '../../../../functions/command-line/journal/entry-words.ts';
import { describeEntries, showEntries } from '../../../../functions/command-line/journal/show-entries.ts';
import { AT, abandoned, committed, created, nameFor, runFor, started } from '../../vault/journal/histories.ts';
import { chain, keyring, openOn, replace, storeOf } from '../../vault/journal/histories-on-stores.ts';

/** What showing needs of a vault. */
async function vaultOf(entries: readonly JournalEntry[]): Promise<Vault> {
  const store = await storeOf(chain(entries));
  const parts = { store, keyring, journal: await openOn(store), log: createObjectJournal(store) };
  return parts as unknown as Vault;
}

describe('the entries shown', () => {
  let vault: Vault;
  const positions = async (from?: number, to?: number) =>
    (await showEntries(vault, { from, to })).map(({ position }) => position);
  const upTo = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

  beforeAll(async () => {
    vault = await vaultOf([created, ...Array.from({ length: 49 }, (_, n) => started(n))]);
  });

  test('are the last 20', async () => {
    expect(await positions()).toEqual(upTo(31, 50));
  });

  test.each<[string, number | undefined, number | undefined, number[]]>([
    ['from 3 to 5', 3, 5, [3, 4, 5]],
    ['from 1: 20 of them', 1, undefined, Array.from({ length: 20 }, (_, i) => i + 1)],
    ['up to 10: as many as there are', undefined, 10, Array.from({ length: 10 }, (_, i) => i + 1)],
    ['behind the end', 45, 90, [45, 46, 47, 48, 49, 50]],
    ['beyond the end', 60, undefined, []],
  ])('are those asked for: %s', async (_, from, to, expected) => {
    expect(await positions(from, to)).toEqual(expected);
  });

  test('cannot end before they begin', async () => {
    await expect(positions(5, 3)).rejects.toMatchObject({ code: 'bad-input' });
  });

  test('are checked: one that is not the original is not shown', async () => {
    const damaged = await vaultOf([created, started(1), started(2)]);
    const [, second = Buffer.alloc(0)] = chain([created, started(7)]);
    await replace(
      (damaged as unknown as { store: Parameters<typeof replace>[0] }).store,
      'journal/00000000000000000002',
      second,
    );
    await expect(showEntries(damaged, { from: 3, to: 3 })).rejects.toMatchObject({ code: 'journal-broken' });
    await expect(showEntries(damaged, { from: undefined, to: undefined })).rejects.toMatchObject({
      code: 'journal-broken',
    });
  });

  test('are a line each', async () => {
    const shown = await showEntries(await vaultOf([created, started(1), abandoned(1)]), { from: 2, to: 3 });
    expect(shown).toMatchObject([
      { position: 2, type: 'run-started', at: AT },
      { position: 3, type: 'run-abandoned', at: AT },
    ]);
    const [titles, first] = describeEntries(shown, 3);
    expect(titles).toMatch(/^ENTRY +TIME +TYPE +WHAT$/);
    expect(first).toContain(`run-started    run ${runFor(1)}, group web`);
    expect(describeEntries([], 0)).toEqual(['There is no such entry: the journal has 0.']);
  });
});

test.each<[JournalEntry, string]>([
  [started(1), `run ${runFor(1)}, group web, disks web-1/vda + web-1/vdb, host compute-1`],
  [abandoned(2), `run ${runFor(2)}, reason the exporter is gone`],
  [committed(3), /^run .*, group web, point [0-9a-f]{8}…, taken at .*, disks web-1\/vda$/.source],
  [{ ...started(1), disks: ['a', 'b', 'c', 'd', 'e'] } as JournalEntry, 'disks a + b + c and 2 more'],
  [
    { type: 'packs-moved', move: nameFor('move'), packs: [nameFor('a'), nameFor('b')], at: AT },
    `move ${nameFor('move').slice(0, 8)}…, packs (2)`,
  ],
  [
    { type: 'retention-set', group: 'web', policy: { daily: 7, timeZone: 'UTC' }, confirmed: true, at: AT },
    'group web, policy (daily 7, time zone UTC), confirmed true',
  ],
])('an entry in words: %#', (entry, expected) => {
  expect(entryWords(entry)).toMatch(expected.startsWith('^') ? new RegExp(expected) : expected);
});
