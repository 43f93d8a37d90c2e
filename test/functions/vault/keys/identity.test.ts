import { inspect } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fingerprintOf, formatRecipient, identityOf, newIdentity, parseRecipient } from '#vault/keys/identity.ts';

const publicKeys = fc.uint8Array({ minLength: 32, maxLength: 32 });

test('the public key of a private key is that of RFC 7748, section 6.1', () => {
  const alice = identityOf(Buffer.from('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a', 'hex'));
  expect(alice.publicKey.toString('hex')).toBe('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a');
});

test('an identity shows no secret when it is inspected or becomes JSON', () => {
  const { identity, privateKey } = newIdentity();
  const shown = inspect(identity, { depth: 9, showHidden: true }) + JSON.stringify(identity);
  for (const encoding of ['hex', 'base64', 'base64url'] as const) {
    expect(shown).not.toContain(privateKey.toString(encoding));
  }
  expect(shown).not.toContain(JSON.stringify([...privateKey]).slice(1, -1));
});

test('a private key of another length is refused', () => {
  expect(() => identityOf(Buffer.alloc(31))).toThrow(expect.objectContaining({ code: 'bad-input' }));
});

test('a recipient survives being written and read', () => {
  fc.assert(
    fc.property(publicKeys, (key) => {
      expect(parseRecipient(` ${formatRecipient(key)}\n`)).toEqual(Buffer.from(key));
    }),
  );
});

test.each([
  ['nothing', ''],
  ['another version', 'ekko-recipient-2:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
  ['one character too few', 'ekko-recipient-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
  ['one character too many', 'ekko-recipient-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
  ['base64 instead of base64url', 'ekko-recipient-1:+AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
  ['bits behind the last byte', 'ekko-recipient-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB'],
])('a recipient text is refused: %s', (_, text) => {
  expect(() => parseRecipient(text)).toThrow(expect.objectContaining({ code: 'bad-input' }));
});

test('a private key given as recipient is refused with a warning, and not shown', () => {
  const secret = newIdentity().privateKey.toString('base64url');
  const parse = () => parseRecipient(`ekko-key-1:${secret}`);
  expect(parse).toThrow('keep it secret');
  expect(parse).not.toThrow(secret);
});

test('a fingerprint is the first 8 bytes of the SHA-256 of the public key', () => {
  expect(fingerprintOf(Buffer.alloc(32))).toBe('66687aadf862bd77');
});
