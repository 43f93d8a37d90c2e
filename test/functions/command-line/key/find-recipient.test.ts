import { expect, test } from 'vitest';
import type { VaultRecipient } from '#vault/journal/state.ts';
import { fingerprintOf, formatRecipient, newIdentity } from '#vault/keys/identity.ts';
import { findRecipient } from '../../../../functions/command-line/key/find-recipient.ts';

const { publicKey } = newIdentity().identity;
const AT = '2026-11-20T19:15:03.000Z';
const named = (recipient: string, label?: string): [string, VaultRecipient] => [
  recipient,
  { recipient, kind: 'key-file', since: AT, sinceEpoch: 1, ...(label === undefined ? {} : { label }) },
];
const own = fingerprintOf(publicKey);
const recipients = new Map([
  named('aaaa111122223333', 'desk'),
  named('aaaa444455556666', 'desk'),
  named('bbbb111122223333', 'laptop'),
  named(own),
]);
const find = (text: string) => findRecipient({ recipients }, text).recipient;

test.each([
  ['bbbb111122223333', 'bbbb111122223333'],
  ['BBBB111122223333', 'bbbb111122223333'],
  ['aaaa1111', 'aaaa111122223333'],
  ['laptop', 'bbbb111122223333'],
  [formatRecipient(publicKey), own],
])('%s means one key', (text, recipient) => {
  expect(find(text)).toBe(recipient);
});

test.each([
  ['desk', /"desk" may be any of 2 keys/],
  ['aaaa', /may be any of 2 keys/],
  ['bbb', /No key of the vault is called "bbb"/],
  ['nobody', /No key .* `ekko key list`/],
  [formatRecipient(newIdentity().identity.publicKey), /No key/],
  ['ekko-recipient-1:x', /A recipient is/],
])('%s means none', (text, message) => {
  expect(() => find(text)).toThrow(message);
});
