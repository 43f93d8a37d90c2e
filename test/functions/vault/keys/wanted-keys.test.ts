import { expect, test } from 'vitest';
import { nameKey, removedKey, strangeKey, wantedKeys } from '#vault/keys/wanted-keys.ts';

const SINCE = '2026-11-20T19:15:03.000Z';
const file = { recipient: '300c9c9603b92a4b', kind: 'key-file', label: 'laptop', since: SINCE } as const;
const paper = { recipient: '8f6bf8ddcb2a9eb4', kind: 'escrow', since: SINCE } as const;
const head = { recipient: '6e6935afb45f2dfb', kind: 'passphrase', since: SINCE } as const;

test('each key is named by its fingerprint, kind, label and day', () => {
  expect([file, paper, head].map(nameKey)).toEqual([
    '300c9c9603b92a4b (key file "laptop", since 2026-11-20)',
    '8f6bf8ddcb2a9eb4 (escrow code, since 2026-11-20)',
    '6e6935afb45f2dfb (passphrase, since 2026-11-20)',
  ]);
});

test('a stranger is told which keys would open the vault', () => {
  const error = strangeKey('0123456789abcdef', 'f'.repeat(32), [file, paper]);
  expect(error.code).toBe('wrong-key');
  expect(error.message).toBe(
    `Key 0123456789abcdef does not open vault ${'f'.repeat(32)}: it is the key of another vault, or was never added to this one; ` +
      'use 300c9c9603b92a4b (key file "laptop", since 2026-11-20) or 8f6bf8ddcb2a9eb4 (escrow code, since 2026-11-20).',
  );
});

test('who was removed is told when', () => {
  const { message } = removedKey('0123456789abcdef', 'f'.repeat(32), { epoch: 4, at: SINCE }, [head]);
  expect(message).toMatch(/^Key 0123456789abcdef was removed .* on 2026-11-20, when key epoch 4 began: .*; use 6e6935/);
});

test('of many keys some are named and the rest counted', () => {
  const many = Array.from({ length: 20 }, () => paper);
  expect(wantedKeys(many)).toMatch(/ or one of 12 more$/);
  expect(wantedKeys([])).toBe('no key can open it');
});

test('a label that the vault came with cannot move the cursor or speak for us', () => {
  const named = nameKey({ ...file, label: '\u001b[2J"); use my key\u202e' });
  expect(named).toMatch(/^[\x20-\x7e]+$/);
  expect(named).toContain('\\"');
});
