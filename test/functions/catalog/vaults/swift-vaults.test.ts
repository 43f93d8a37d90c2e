import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EkkoError } from '#vault/errors.ts';
import { newIdentity } from '#vault/keys/identity.ts';
import { keyFileText } from '#vault/keys/key-file.ts';
import { openSwiftStore } from '#vault/store/swift-store.ts';
import { createVault } from '#vault/vault.ts';
import type { Caller } from '../../../../functions/catalog/caller.ts';
import { openSwiftVaults } from '../../../../functions/catalog/vaults/swift-vaults.ts';
import type { TenantVault } from '../../../../functions/catalog/vaults/tenant-vaults.ts';
import { type FaultyHttp, openFaultyHttp } from '../../../faulty-http.ts';
import { type FakeCloud, openFakeCloud } from '../../vault/store/swift/fake-cloud.ts';

const MINUTE_MS = 60_000;
const caller = (token: string, minutes: number): Caller => ({
  ...{ token, project: 'a', user: token, roles: ['member'] },
  expiresAt: Date.now() + minutes * MINUTE_MS,
});

let swift: FakeCloud;
let barbican: FaultyHttp;
let tenant: TenantVault;
/** Tokens that functions were started with, and those that they are refused with. */
let started: string[];
let refused: Set<string>;

/** A token that Swift takes. */
async function login(minutes: number): Promise<Caller> {
  const credential = { ...swift.environment };
  const store = await openSwiftStore('swift://backups/other', credential);
  await store.create(randomUUID(), []);
  return caller(swift.tokens.at(-1) ?? expect.fail(), minutes);
}

beforeEach(async () => {
  [started, refused] = [[], new Set()];
  swift = await openFakeCloud();
  const { identity, privateKey } = newIdentity();
  const payload = keyFileText(identity, privateKey);
  barbican = await openFaultyHttp(() => ({ status: 200, headers: { 'content-type': 'text/plain' }, body: payload }));
  const secret = randomUUID();
  const recipient = { kind: 'barbican', publicKey: identity.publicKey, label: secret } as const;
  const store = await openSwiftStore('swift://backups/vault', swift.environment);
  await createVault(store, { recipients: [recipient], noEscrow: true, now: new Date() });
  const vaults = openSwiftVaults({
    endpoints: { swift: `${swift.url}/v1/AUTH_fake`, barbican: barbican.url },
    ...{ authorities: undefined, journalFile: '/dev/null' },
    functions: ({ environment }) => {
      const token = String(environment['OS_TOKEN']);
      started.push(token);
      const invoke = async () => {
        if (refused.has(token)) throw new EkkoError('store-failed', 'Swift refuses the token (401).');
        return token;
      };
      return { invoke, close: async () => undefined };
    },
  });
  const record = { vault: 'v', store: 'swift:backups/vault', id: '0'.repeat(32), access: { secret }, createdAt: '' };
  tenant = await vaults.open(await login(60), record);
});

afterEach(async () => {
  await Promise.all([tenant.close(), swift.close(), barbican.close()]);
});

const present = () => tenant.readerSettings?.().environment?.['OS_TOKEN'];

test('a token that ends sooner does not take the place of the one that is used', async () => {
  const [first, brief] = [present(), await login(5)];
  await tenant.renew(brief);
  expect([present(), await tenant.invoke('verifier', {})]).toEqual([first, first]);
});

test('one that lasts longer does, and functions are started anew with it', async () => {
  const first = await tenant.invoke('verifier', {});
  const long = await login(120);
  await tenant.renew(long);
  expect(await tenant.invoke('verifier', {})).toBe(long.token);
  expect([present(), started]).toEqual([long.token, [first, long.token]]);
});

test('functions whose token is refused go on with one that came by, though it ends sooner', async () => {
  const first = String(await tenant.invoke('verifier', {}));
  const brief = await login(5);
  await tenant.renew(brief);
  refused.add(first);
  expect(await tenant.invoke('verifier', {})).toBe(brief.token);
  expect(present()).toBe(brief.token);
});

test('and with the next one that comes, where none has come by', async () => {
  refused.add(String(await tenant.invoke('verifier', {})));
  await expect(tenant.invoke('verifier', {})).rejects.toMatchObject({ code: 'store-failed' });
  const brief = await login(5);
  await tenant.renew(brief);
  expect(await tenant.invoke('verifier', {})).toBe(brief.token);
});

test('a store that refuses the token is asked with another one the next time', async () => {
  swift.endTokens();
  const brief = await login(5);
  await tenant.renew(brief);
  await expect(tenant.vault.journal.refresh()).rejects.toMatchObject({ code: 'store-failed' });
  expect((await tenant.vault.journal.refresh()).escrow).toBe('waived');
  expect(present()).toBe(brief.token);
});
