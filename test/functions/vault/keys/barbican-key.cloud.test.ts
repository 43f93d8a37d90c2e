import { expect, test } from 'vitest';
import { barbicanKeyProvider, removeStoredIdentity, storeNewIdentity } from '#vault/keys/barbican-key.ts';
import { useBarbican } from '../../../cloud/barbican.ts';
import { logIn } from '../../../cloud/keystone.ts';

test('a real Barbican keeps a key for its project alone, and forgets it when told', async () => {
  const { keystone, origin } = await useBarbican();
  const { token } = await logIn(keystone, keystone.member);
  const manager = { endpoint: origin, token: () => token };
  const { identity, secret } = await storeNewIdentity(manager, 'ekko vault shop');
  const again = await barbicanKeyProvider(manager, secret).identity([]);
  expect(again.publicKey.equals(identity.publicKey)).toBe(true);
  const { token: administrators } = await logIn(keystone, keystone.admin);
  const another = { endpoint: origin, token: () => administrators };
  await expect(barbicanKeyProvider(another, secret).identity([])).rejects.toMatchObject({ code: 'wrong-key' });
  const nobody = { endpoint: origin, token: () => 'gAAAAAnone' };
  await expect(barbicanKeyProvider(nobody, secret).identity([])).rejects.toMatchObject({ code: 'wrong-key' });
  await removeStoredIdentity(manager, secret);
  await expect(barbicanKeyProvider(manager, secret).identity([])).rejects.toMatchObject({
    code: 'wrong-key',
    message: expect.stringContaining('no such secret'),
  });
}, 240_000);
