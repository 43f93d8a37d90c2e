import { createHash } from 'node:crypto';
import { chmod, copyFile, cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { segmentId } from '#vault/dedupe/segment-id.ts';
import { ID_SIZE, openPackIndex } from '#vault/format/pack.ts';
import { readEscrowCode } from '#vault/keys/escrow-code.ts';
import { keyFileProvider, passphraseProvider } from '#vault/keys/key-provider.ts';
import { readMove } from '#vault/records.ts';
import { openPart, openSummary } from '#vault/staging/open-part.ts';
import { openFileStore } from '#vault/store/file-store.ts';
import { contentKey, Folder, sampleKey } from '#vault/store/object-names.ts';
import { openVault, type Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { openPageNotes } from '../functions/sweeper/page-notes.ts';
import { listNotes, readWaiting, type WaitingObjects } from '../functions/sweeper/sweep-notes.ts';
import { restored } from './restored.ts';

/** The bytes of format version 1, as they were first written: every Ekko must read them for ever. Made by test/golden/make-vault.ts and grow-vault.ts. */
const GOLDEN = join(import.meta.dirname, 'golden/v1');

interface Expected {
  readonly vault: string;
  readonly points: Readonly<Record<string, { readonly sha256: string; readonly diskSize: number }>>;
  readonly abandoned: string;
  /** By key epoch, from 1. */
  readonly zeroSegmentIds: readonly string[];
  /** Under epoch 1. */
  readonly runToken: string;
  readonly moved: readonly { readonly pack: string; readonly move: string }[];
  /** What the newest note of a sweep says of orphans. */
  readonly waiting: readonly WaitingObjects[];
}

let folder: string;
let vault: Vault;
let expected: Expected;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-golden-'));
  await copyFile(join(GOLDEN, 'key'), join(folder, 'key'));
  // Version control keeps no such rights, and a key file that others can read is refused.
  await chmod(join(folder, 'key'), 0o600);
  await cp(join(GOLDEN, 'vault'), join(folder, 'vault'), { recursive: true });
  expected = JSON.parse(await readFile(join(GOLDEN, 'expected.json'), 'utf8')) as Expected;
  vault = await openVault(openFileStore(join(folder, 'vault')), keyFileProvider(join(folder, 'key')));
});

afterAll(() => rm(folder, { recursive: true }));

test('the vault opens, and its keys derive to what they were', () => {
  expect(vault.id).toBe(expected.vault);
  const epochs = [1, 2].map((epoch) => vault.keyring.epoch(epoch, 'It'));
  const ids = epochs.map((keys) => segmentId(keys, Buffer.alloc(SEGMENT_SIZE)).toString('hex'));
  expect(ids).toEqual(expected.zeroSegmentIds);
  expect(epochs[0]?.runToken(expected.abandoned, 0).toString('hex')).toBe(expected.runToken);
});

test('the journal folds to its points, two key epochs, no open run and a waived escrow', () => {
  const state = vault.journal.state();
  expect([...state.points.keys()]).toEqual(Object.keys(expected.points));
  expect(state.points.size).toBe(4);
  expect([...state.moved]).toEqual(expected.moved.map(({ pack, move }) => [pack, move]));
  expect(state.epochs.map(({ epoch }) => epoch)).toEqual([1, 2]);
  expect([...state.recipients.values()].map(({ kind, label }) => [kind, label])).toEqual([
    ['key-file', 'golden'],
    ['escrow', undefined],
    ['passphrase', undefined],
  ]);
  expect(state.openRuns.size).toBe(0);
  expect(state.escrow).toBe('waived');
});

test('all points restore to the images they were taken of', async () => {
  for (const [run, { sha256, diskSize }] of Object.entries(expected.points)) {
    const image = await restored(vault, run);
    expect(image.length).toBe(diskSize);
    expect(createHash('sha256').update(image).digest('hex')).toBe(sha256);
  }
});

test('a move leads from a pack that is gone to where its segments lie', async () => {
  const [{ pack, move } = { pack: '', move: '' }] = expected.moved;
  await expect(vault.store.get(contentKey(Folder.packs, pack))).rejects.toMatchObject({ code: 'object-missing' });
  const { packs } = await readMove(vault, move);
  // Every fifth segment of 24 was needed.
  expect(packs).toMatchObject([{ pack: expect.stringContaining(pack) }]);
  expect(packs[0]?.runs.map(({ first, count, targetFirst }) => [first, count, targetFirst])).toEqual([
    ...[0, 5, 10, 15, 20].map((first, i) => [first, 1, i]),
  ]);
  const target = packs[0]?.runs[0]?.target ?? '';
  const key = contentKey(Folder.packs, target.slice(0, 64));
  expect(openPackIndex(vault.keyring, await vault.store.get(key), key, target).segments).toBe(5);
});

test('the notes of sweeps say which orphans wait, and what pages need', async () => {
  const notes = await listNotes(vault);
  expect(await readWaiting(vault, notes)).toEqual(expected.waiting);
  const parts = await Array.fromAsync(openPageNotes(vault, notes, 1).read());
  const moves = new Set(parts.flatMap(({ part }) => part.moves));
  expect([...moves]).toEqual(expected.moved.map(({ move }) => move));
  const pages = parts.flatMap(({ part }) => part.pages.map(({ name }) => name));
  expect(pages.length).toBeGreaterThan(3);
  for (const page of pages) await vault.store.get(contentKey(Folder.pages, page));
});

test('a staged part and its summary open', async () => {
  const summary = await openSummary(vault, expected.abandoned, 0);
  expect(summary).toMatchObject({ disk: 'disk', parts: 1, fullReason: 'asked-for' });
  const part = await openPart(vault, { run: expected.abandoned, disk: 0, part: 0 });
  const data = part.header.runs.filter(({ kind }) => kind === 0);
  const chunks = await Array.fromAsync(part.chunks());
  const carried = data.reduce((sum, { count }) => sum + count, 0);
  expect(chunks.reduce((sum, chunk) => sum + chunk.length, 0)).toBe(carried * SEGMENT_SIZE);
  const at = data.findIndex(({ first, count }) => first <= 7 && first + count > 7);
  expect(at).toBeGreaterThanOrEqual(0);
});

test('the escrow code opens the vault without the key file', async () => {
  const code = await readFile(join(GOLDEN, 'escrow-code.txt'), 'utf8');
  const provider = { origin: 'escrow code', identity: async () => readEscrowCode(code) };
  const again = await openVault(vault.store, provider);
  expect(again.id).toBe(expected.vault);
});

test('a passphrase that was added in the second epoch opens all of it', async () => {
  const text = await readFile(join(GOLDEN, 'passphrase.txt'), 'utf8');
  const again = await openVault(
    vault.store,
    passphraseProvider(async () => text.trim()),
  );
  for (const [run, { sha256 }] of Object.entries(expected.points)) {
    expect(
      createHash('sha256')
        .update(await restored(again, run))
        .digest('hex'),
    ).toBe(sha256);
  }
});

test('the vault has an object of every kind, and the least id of a pack is a sample', async () => {
  const folders = new Set<string>();
  for await (const { key } of vault.store.list('')) folders.add(key.split('/')[0] ?? '');
  const kinds = [
    'journal',
    'keys',
    'manifests',
    'moves',
    'packs',
    'pages',
    'points',
    'samples',
    'staging',
    'states',
    'sweeps',
    'vault.json',
  ];
  expect([...folders].sort()).toEqual(kinds);
  for await (const { key } of vault.store.list('packs/')) {
    const { ids } = openPackIndex(vault.keyring, await vault.store.get(key), key);
    const all = Array.from({ length: ids.length / ID_SIZE }, (_, i) =>
      ids.toString('hex', i * ID_SIZE, (i + 1) * ID_SIZE),
    );
    expect((await vault.store.get(sampleKey(all.sort()[0] ?? ''))).toString()).toContain(key.slice(-64));
  }
});
