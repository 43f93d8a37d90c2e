import { KeyObject } from 'node:crypto';
import { expect, test } from 'vitest';
import { readerSettings } from '#vault/restore/open-reader.ts';
import { newSharedVault, rotateAs } from '../key-epochs/vaults.ts';

/** Every key and every byte string in a value. */
function bytesIn(value: unknown): Buffer[] {
  if (value instanceof KeyObject) return [value.export() as Buffer];
  if (value instanceof Uint8Array) return [Buffer.from(value)];
  if (typeof value === 'string') return [Buffer.from(value)];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(bytesIn) : [];
}

test('a thread that reads gets the keys of all epochs, and none that would let it make others able to', async () => {
  const { store, alice } = await newSharedVault();
  const vault = await rotateAs(alice, store);
  const settings = readerSettings(vault);
  expect(settings.epochs.map(({ epoch }) => epoch)).toEqual([1, 2]);
  const found = bytesIn(settings).map((bytes) => bytes.toString('hex'));
  const secrets = [...(vault.holder?.rootKeys() ?? []), alice.privateKey].map((secret) => secret.toString('hex'));
  expect(secrets).toHaveLength(3);
  expect(found.filter((each) => secrets.includes(each))).toEqual([]);
  expect(found.length).toBeGreaterThan(8);
});
