import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { Folder } from '#vault/store/object-names.ts';
import { openPageNotes, type ReadPart } from '../../../functions/sweeper/page-notes.ts';
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
