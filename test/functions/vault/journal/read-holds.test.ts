import { beforeEach, expect, test } from 'vitest';
import { placeReadHold, releaseReadHold } from '#vault/journal/read-holds.ts';
import type { VaultJournal } from '#vault/journal/vault-journal.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { committed, created, runFor, started } from './histories.ts';
import { openOn } from './histories-on-stores.ts';

const now = new Date('2026-11-20T10:00:00Z');
let journal: VaultJournal;

beforeEach(async () => {
  journal = await openOn(openMemoryStore());
  for (const entry of [created, started(1), started(2), committed(1), committed(2)]) await journal.append(() => entry);
});

const wanted = (run: number) => ({ hold: 'h', points: [runFor(run)], reason: 'restore', host: 'catalog' });
const standing = () => [...journal.state().holds.values()];

test('a hold for reading is placed once, and released once', async () => {
  await placeReadHold(journal, wanted(1), now);
  const { position } = journal.state();
  await placeReadHold(journal, wanted(1), new Date());
  expect(standing()).toEqual([{ ...wanted(1), kind: 'read', at: '2026-11-20T10:00:00.000Z' }]);
  expect(journal.state().position).toBe(position);
  await releaseReadHold(journal, 'h', now);
  await releaseReadHold(journal, 'h', now);
  expect(standing()).toEqual([]);
  expect(journal.state().position).toBe(position + 1);
});

test('of that name, it is moved to the points that are wanted now', async () => {
  await placeReadHold(journal, wanted(1), now);
  await placeReadHold(journal, wanted(2), now);
  expect(standing()).toEqual([expect.objectContaining(wanted(2))]);
});

test('a point that is not there cannot be held', async () => {
  await expect(placeReadHold(journal, wanted(3), now)).rejects.toMatchObject({ code: 'point-unknown' });
});

test('a legal hold of that name is neither taken for it, nor released', async () => {
  const at = now.toISOString();
  await journal.append(() => ({ type: 'hold-placed', kind: 'legal', ...wanted(1), at }));
  await expect(placeReadHold(journal, wanted(2), now)).rejects.toMatchObject({ code: 'bad-input' });
  await releaseReadHold(journal, 'h', now);
  expect(standing()).toHaveLength(1);
});
