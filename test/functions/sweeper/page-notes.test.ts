import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { deriveEpochKeys, keyringOf } from '#vault/keys/epoch-keys.ts';
import type { VaultReader } from '#vault/records.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { Folder } from '#vault/store/object-names.ts';
import { openPageNotes, type ReadPart } from '../../../functions/sweeper/page-notes.ts';
import { readWaiting, writeWaiting } from '../../../functions/sweeper/sweep-notes.ts';
import { keysIn } from '../../damage.ts';
import { newTestVault } from '../../vault-builder.ts';

const name = () => randomBytes(32).toString('hex');
const shared = [name(), name(), name()];

interface Page {
  readonly page: string;
  readonly packs: readonly string[];
  readonly moves: readonly string[];
}

const newPage = (): Page => ({ page: name(), packs: [...shared, name()].sort(), moves: [name()] });

function pagesOf({ part }: ReadPart): Page[] {
  const named = (names: readonly string[], numbers: Uint32Array) => Array.from(numbers, (i) => names[i] ?? '').sort();
  return part.pages.map((page) => ({
    page: page.name,
    packs: named(part.packs, page.packs),
    moves: named(part.moves, page.moves),
  }));
}

test('what sweep after sweep notes is read back, in few notes, without what was of no use', async () => {
  const vault = newTestVault(openMemoryStore());
  const useless = new Set<string>();
  const all = new Map<string, Page>();
  for (let position = 1; position <= 40; position++) {
    const notes = openPageNotes(vault, await keysIn(vault.store, Folder.sweeps), position);
    for await (const read of notes.read())
      for (const [i, { name }] of read.part.pages.entries()) if (!useless.has(name)) read.used[i] = 1;
    for (let i = 0; i < 3; i++) {
      const page = newPage();
      all.set(page.page, page);
      await notes.add(page.page, page.packs, page.moves);
    }
    await vault.store.remove(await notes.finish());
    if (position === 10) for (const page of all.keys()) useless.add(page);
  }
  expect((await keysIn(vault.store, Folder.sweeps)).length).toBeLessThan(20);
  const found: Page[] = [];
  const notes = openPageNotes(vault, await keysIn(vault.store, Folder.sweeps), 99);
  for await (const read of notes.read()) found.push(...pagesOf(read));
  expect(new Set(found.map(({ page }) => page))).toEqual(new Set([...all.keys()].filter((page) => !useless.has(page))));
  for (const page of found) expect(page).toEqual(all.get(page.page));
});

test('a note that somebody else wrote in its place costs nobody the older ones', async () => {
  const vault = newTestVault(openMemoryStore());
  for (let position = 1; position <= 17; position++) {
    const notes = openPageNotes(vault, [], position);
    await notes.add(name(), shared, []);
    await notes.finish();
  }
  const notes = openPageNotes(vault, await keysIn(vault.store, Folder.sweeps), 17);
  for await (const read of notes.read()) read.used.fill(1);
  expect(await notes.finish()).toEqual([]);
});

test('a note under an older key epoch is not believed: who has lost the key might say that a page needs nothing', async () => {
  const store = openMemoryStore();
  const epochs = [1, 2].map((epoch) => deriveEpochKeys(randomBytes(32), 'f'.repeat(32), epoch));
  const older = { store, keyring: keyringOf(epochs.slice(0, 1)) };
  const newer = { store, keyring: keyringOf(epochs) };
  const written = openPageNotes(older, [], 7);
  await written.add(name(), [], []);
  await written.finish();
  const waiting = [{ kind: 'packs', stage: 'unlinked', runs: [], names: [name()] }] as const;
  const key = await writeWaiting(older, 7, waiting);
  const notes = await keysIn(store, Folder.sweeps);
  const pages = async (vault: VaultReader) => {
    const parts = await Array.fromAsync(openPageNotes(vault, notes, 8).read());
    return parts.flatMap(({ part }) => part.pages).length;
  };
  expect([await pages(older), await pages(newer)]).toEqual([1, 0]);
  expect([await readWaiting(older, [key]), await readWaiting(newer, [key])]).toEqual([waiting, []]);
});
