import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { codeOf } from '#vault/errors.ts';
import { formatRecipient, newIdentity } from '#vault/keys/identity.ts';
import { keyFileProvider } from '#vault/keys/key-provider.ts';
import { openFileStore } from '#vault/store/file-store.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openVault } from '#vault/vault.ts';
import { confirmEscrow } from '../../../../functions/command-line/escrow/confirm-escrow.ts';
import { makeVault, planVault } from '../../../../functions/command-line/init/new-vault.ts';
import { openFaultyStore } from '../../../faulty-store.ts';

let folder: string;
let keyFile: string;
let store: ObjectStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-init-'));
  keyFile = join(folder, 'key');
  store = openMemoryStore();
});
afterEach(() => rm(folder, { recursive: true }));

const plan = (options: Partial<Parameters<typeof planVault>[1]> = {}) =>
  planVault(store, { keyFile, recipients: [], noEscrow: false, ...options });
const refusal = (work: Promise<unknown>) => work.then(() => undefined, codeOf);
const escrowOf = async () => (await openVault(store, keyFileProvider(keyFile))).journal.state().escrow;

test('no lock is promised where the store has none', async () => {
  expect(await refusal(plan({ lock: { mode: 'compliance', days: 30 } }))).toBe('bad-input');
  expect(await Array.fromAsync(store.list(''))).toEqual([]);
});

describe('escrow', () => {
  test('is missing until its code has been typed back, and no other will do', async () => {
    const made = await plan();
    await makeVault(store, made);
    expect(await escrowOf()).toBe('missing');

    const other = await planVault(openMemoryStore(), { keyFile, recipients: [], noEscrow: false });
    expect(await refusal(confirmEscrow(store, other.escrow?.code ?? ''))).toBe('wrong-key');
    const code = made.escrow?.code ?? '';
    const mistyped = (code.startsWith('EK10') ? 'EK11' : 'EK10') + code.slice(4);
    expect(await refusal(confirmEscrow(store, mistyped))).toBe('bad-input');
    expect(await escrowOf()).toBe('missing');

    const recipient = made.escrow?.fingerprint;
    expect(await confirmEscrow(store, code.toLowerCase())).toEqual({ recipient, already: false });
    expect(await confirmEscrow(store, code)).toEqual({ recipient, already: true });
    expect(await escrowOf()).toBe('confirmed');
  });

  test('is waived only when that is said', async () => {
    const made = await plan({ noEscrow: true });
    await makeVault(store, made);
    expect(made.escrow).toBeUndefined();
    expect(await escrowOf()).toBe('waived');
  });

  test('is not needed with a second key, which opens the vault too', async () => {
    const { identity } = newIdentity();
    const made = await plan({ recipients: [formatRecipient(identity.publicKey)] });
    await makeVault(store, made);
    expect(made.escrow).toBeUndefined();
    expect(await escrowOf()).toBe('confirmed');
    await openVault(store, { origin: 'second', identity: () => Promise.resolve(identity) });
  });
});

describe('what cannot become a vault', () => {
  test('is one that is there already; it stays as it is, and no key file is made', async () => {
    await makeVault(store, await plan());
    const before = await Array.fromAsync(store.list(''));
    const other = join(folder, 'other');
    expect(await refusal(plan({ keyFile: other }))).toBe('object-exists');
    expect(await Array.fromAsync(store.list(''))).toEqual(before);
    await expect(readFile(other)).rejects.toThrow('ENOENT');
  });

  test('is one without a key', async () => {
    expect(await refusal(plan({ keyFile: undefined }))).toBe('wrong-key');
  });

  test('is one that its own key file would lie in', async () => {
    store = openFileStore(join(folder, 'vault'));
    expect(await refusal(plan({ keyFile: join(folder, 'vault', 'key') }))).toBe('bad-input');
    expect(await refusal(plan({ keyFile: join(folder, 'vault-key') }))).toBeUndefined();
  });

  test('is one whose key file is no key file', async () => {
    await writeFile(keyFile, 'secret', { mode: 0o600 });
    const error: unknown = await plan().catch((cause: unknown) => cause);
    expect(codeOf(error)).toBe('wrong-key');
    expect(String(error)).not.toContain('secret');
  });

  test.each(['', 'ekko-recipient-1:short', 'ekko-key-1:x'])('is one for the recipient %j', async (text) => {
    expect(await refusal(plan({ recipients: [text] }))).toBe('bad-input');
  });

  test('is one whose second key is the first', async () => {
    const made = await plan();
    expect(await refusal(plan({ recipients: [formatRecipient(made.keyFile.identity.publicKey)] }))).toBe('bad-input');
  });

  test('is a store that gives one name to two writers', async () => {
    const inner = store;
    store = { ...inner, create: async (key, body) => inner.create(key, body).then(() => 'created' as const) };
    await expect(plan()).rejects.toMatchObject({
      code: 'store-failed',
      message: expect.stringContaining('--journal-file'),
    });
  });

  test('is one whose journal file cannot be used; no key file is made', async () => {
    expect(await refusal(plan({ journalFile: join(folder, 'nowhere') }))).toBe('bad-input');
    expect(await refusal(plan({ journalFile: 'mariadb://u:secret@h/d' }))).toBe('bad-input');
    await writeFile(join(folder, 'journal'), 'mariadb://u:secret@127.0.0.1:1/d', { mode: 0o600 });
    expect(await refusal(plan({ journalFile: join(folder, 'journal') }))).toBe('store-failed');
    await expect(readFile(keyFile)).rejects.toThrow('ENOENT');
  });
});

test('a key file that is there is used, and stays as it is', async () => {
  const first = await plan();
  expect(first.keyFile.isNew).toBe(true);
  const text = await readFile(keyFile, 'utf8');
  const second = await plan();
  expect(second.keyFile.isNew).toBe(false);
  expect(await readFile(keyFile, 'utf8')).toBe(text);
  expect(second.keyFile.identity.publicKey).toEqual(first.keyFile.identity.publicKey);
});

test('a vault is made though the answer to its first object was lost, and never over another', async () => {
  const made = await plan({ noEscrow: true });
  const another = await plan({ noEscrow: true });
  await makeVault(openFaultyStore(store, [{ on: 'create', call: 1, does: 'repeat' }]), made);
  expect(await escrowOf()).toBe('waived');
  expect(await refusal(makeVault(store, another))).toBe('object-exists');
});
