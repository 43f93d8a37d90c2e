import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkKey, checkPrefix } from '#vault/store/check-key.ts';

function messageOf(key: string): string {
  try {
    checkKey(key);
  } catch (error) {
    expect(error).toMatchObject({ code: 'bad-input' });
    return (error as Error).message;
  }
  throw new Error('the key was accepted');
}

test('a key comes back as it is', () => {
  for (const key of [
    'vault.json',
    'packs/3f/3f00',
    'a',
    '-',
    '_.',
    'a'.repeat(255),
    `${'a'.repeat(255)}/${'b'.repeat(255)}`,
  ]) {
    expect(checkKey(key)).toBe(key);
  }
});

test('whatever is accepted stays below its folder and needs no encoding', () => {
  const nearly = fc.string({ unit: fc.constantFrom('a', '.', '/', '-', 'A', '%', ' ', '\n', 'é'), maxLength: 8 });
  fc.assert(
    fc.property(nearly, (key) => {
      try {
        checkKey(key);
      } catch {
        return;
      }
      expect(new URL(`http://host/base/${key}`).pathname).toBe(`/base/${key}`);
      expect(key).not.toBe('');
    }),
    { numRuns: 2000 },
  );
});

test('the message shows the key escaped and cut', () => {
  expect(messageOf('a\n\u001b[2J')).toContain('"a\\n\\u001b[2J"');
  expect(messageOf('é')).toContain('\\u00e9');
  for (const key of ['x'.repeat(10_000), '\u0000'.repeat(10_000), 'é'.repeat(300), `a/${'\n'.repeat(400)}`]) {
    expect(messageOf(key)).toMatch(/^[\x20-\x7e…]{1,300}$/);
  }
});

test('the message says what is wrong', () => {
  expect(messageOf('a//b')).toContain('a part is empty');
  expect(messageOf('x'.repeat(600))).toContain('600 characters');
  expect(messageOf('a/B/c')).toContain('"B" is not of a-z');
});

test('a value that is no text is refused', () => {
  expect(messageOf(undefined as unknown as string)).toContain('not text');
});

test('a prefix is empty or ends a folder', () => {
  for (const prefix of ['', 'packs/', 'packs/3f/']) expect(checkPrefix(prefix)).toBe(prefix);
  for (const prefix of ['packs', '/', '//', '../', 'a//', 'A/']) {
    expect(() => checkPrefix(prefix)).toThrow(expect.objectContaining({ code: 'bad-input' }));
  }
});
