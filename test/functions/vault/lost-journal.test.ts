import { expect, test } from 'vitest';
import { newIdentity } from '#vault/keys/identity.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { Folder, VAULT_JSON } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { createVault, openVault } from '#vault/vault.ts';
import { keysIn } from '../../damage.ts';
import { fresh, newLab } from '../sweeper/lab.ts';

async function contentOf(store: ObjectStore): Promise<readonly string[]> {
  return keysIn(store, '');
}

test('a vault that has lost its whole journal is not opened as an empty one, for a sweep would empty it', async () => {
  const lab = await newLab();
  await lab.backUp(fresh(1, 8));
  await lab.memory.remove(await keysIn(lab.memory, Folder.journal));
  const before = await contentOf(lab.memory);
  await expect(lab.open()).rejects.toMatchObject({
    code: 'journal-broken',
    message: expect.stringMatching(/packs\/.*copy/),
  });
  expect(await contentOf(lab.memory)).toEqual(before);
});

test('a vault whose making was cut off before the first entry is finished by the first to open it', async () => {
  const { identity } = newIdentity();
  const store = openMemoryStore();
  const recipients = [{ kind: 'key-file', publicKey: identity.publicKey }] as const;
  await createVault(store, { recipients, noEscrow: true, now: new Date() });
  await store.remove(await keysIn(store, Folder.journal));
  const vault = await openVault(store, { origin: 'test', identity: async () => identity });
  expect(vault.journal.state().position).toBe(1);
});

test('no vault is made where there are things of one that has lost its vault.json, for a sweep would take them for its own', async () => {
  const lab = await newLab();
  await lab.backUp(fresh(1, 8));
  await lab.memory.remove([VAULT_JSON, ...(await keysIn(lab.memory, Folder.journal))]);
  const before = await contentOf(lab.memory);
  const recipients = [{ kind: 'key-file', publicKey: newIdentity().identity.publicKey }] as const;
  await expect(createVault(lab.memory, { recipients, noEscrow: true, now: new Date() })).rejects.toMatchObject({
    code: 'object-exists',
    message: expect.stringContaining('packs/'),
  });
  expect(await contentOf(lab.memory)).toEqual(before);
});
