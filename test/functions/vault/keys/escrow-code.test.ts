import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatEscrowCode, newEscrow, readEscrowCode } from '#vault/keys/escrow-code.ts';
import { identityOf } from '#vault/keys/identity.ts';

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const GROUPS = 13;
const PRIVATE_KEY = Buffer.from('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a', 'hex');
const CODE = 'EK1EW-3PT2K-K32JQ-TF0PR-5S53C-K68QF-MRBW7-XF09J-ANHEZ-XTA7D-S5GN0-4NNTW-HY1FR';

const privateKeys = fc.uint8Array({ minLength: 32, maxLength: 32 });
const group = fc.nat({ max: GROUPS - 1 });
const column = fc.nat({ max: 4 });
const otherBy = fc.integer({ min: 1, max: 31 });

/** The character that follows `steps` later in the alphabet, so never the same one. */
function changed(code: string, at: number, steps: number): string {
  const letter = ALPHABET.charAt((ALPHABET.indexOf(code.charAt(at)) + steps) % 32);
  return code.slice(0, at) + letter + code.slice(at + 1);
}

function messageOf(text: string): string {
  try {
    readEscrowCode(text);
  } catch (error) {
    expect(error).toMatchObject({ code: 'bad-input' });
    return (error as Error).message;
  }
  throw new Error('a wrong code was accepted');
}

test('the code of a key is always the same', () => {
  expect(formatEscrowCode(PRIVATE_KEY)).toBe(CODE);
  expect(readEscrowCode(CODE).privateKey.export()).toEqual(PRIVATE_KEY);
});

test('a new code opens what is sealed to its public key, and no two are alike', () => {
  const { code, publicKey } = newEscrow();
  expect(readEscrowCode(code).publicKey).toEqual(publicKey);
  expect(newEscrow().code).not.toBe(code);
});

test('any private key survives being printed and typed', () => {
  fc.assert(
    fc.property(privateKeys, (key) => {
      const read = readEscrowCode(formatEscrowCode(key));
      expect(read.privateKey.export()).toEqual(Buffer.from(key));
      expect(read.publicKey).toEqual(identityOf(key).publicKey);
    }),
  );
});

test.each([
  ['lower case', CODE.toLowerCase()],
  ['blanks and lines', `\n ${CODE.replaceAll('-', ' \n')} `],
  ['no groups', CODE.replaceAll('-', '')],
  ['groups of ten', CODE.replace(/(.{5})-(.{5})-?/g, '$1$2 ')],
  ['long dashes', CODE.replaceAll('-', ' – ')],
  ['O for 0 and I for 1', CODE.replaceAll('0', 'O').replaceAll('1', 'I')],
  ['o for 0 and l for 1', CODE.replaceAll('0', 'o').replaceAll('1', 'l')],
])('a code may be typed with %s', (_, text) => {
  expect(readEscrowCode(text).privateKey.export()).toEqual(PRIVATE_KEY);
});

test('every single wrong character is noticed and its group is named', () => {
  for (let at = 0; at < CODE.length; at++) {
    if (CODE[at] === '-') continue;
    for (let steps = 1; steps < 32; steps++) {
      expect(messageOf(changed(CODE, at, steps))).toContain(`group ${Math.floor(at / 6) + 1} is wrong`);
    }
  }
});

test('a wrong character in the code of any key is noticed and its group is named', () => {
  fc.assert(
    fc.property(privateKeys, group, column, otherBy, (key, wrongGroup, wrongColumn, steps) => {
      const code = changed(formatEscrowCode(key), wrongGroup * 6 + wrongColumn, steps);
      expect(messageOf(code)).toContain(`group ${wrongGroup + 1} is wrong`);
    }),
  );
});

test('several wrong characters of one group are noticed and the group is named', () => {
  fc.assert(
    fc.property(privateKeys, group, fc.array(otherBy, { minLength: 2, maxLength: 5 }), (key, wrongGroup, steps) => {
      const code = steps.reduce((text, by, at) => changed(text, wrongGroup * 6 + at, by), formatEscrowCode(key));
      expect(messageOf(code)).toContain(`group ${wrongGroup + 1} is wrong`);
    }),
  );
});

test('any two wrong characters are noticed', () => {
  fc.assert(
    fc.property(privateKeys, group, column, otherBy, group, column, otherBy, (key, g1, c1, by1, g2, c2, by2) => {
      fc.pre(g1 !== g2 || c1 !== c2);
      messageOf(changed(changed(formatEscrowCode(key), g1 * 6 + c1, by1), g2 * 6 + c2, by2));
    }),
  );
});

test('two groups that changed places are noticed', () => {
  const groups = CODE.split('-');
  for (let first = 0; first < GROUPS; first++) {
    for (let second = first + 1; second < GROUPS; second++) {
      const swapped = groups.with(first, groups[second] ?? '').with(second, groups[first] ?? '');
      messageOf(swapped.join('-'));
    }
  }
});

test('a group with a character too few or too many is named', () => {
  expect(messageOf(CODE.replace('TF0PR', 'TF0P'))).toContain('group 4 has 4 characters');
  expect(messageOf(CODE.replace('TF0PR', 'TF0PRR'))).toContain('group 4 has 6 characters');
});

test('a code of another length is refused with its length', () => {
  expect(messageOf(CODE.slice(0, -6))).toContain('60 characters instead of 65');
  expect(messageOf(CODE.replaceAll('-', '').slice(1))).toContain('64 characters instead of 65');
  expect(messageOf('')).toContain('0 characters instead of 65');
  expect(messageOf('A'.repeat(10_000))).toContain('10000 characters');
});

test('a character outside the alphabet is located', () => {
  expect(messageOf(CODE.replace('TF0PR', 'TF0UR'))).toContain('group 4, character 4');
  expect(messageOf(CODE.replace('TF0PR', 'TF0💾R'))).toContain('group 4, character 4');
});

test('text that is no Ekko code is told apart from a typing error', () => {
  expect(messageOf('0'.repeat(65))).toContain('does not begin with EK1');
});

test('no message holds a part of the code', () => {
  const attempts = [
    changed(CODE, 20, 1),
    CODE.slice(0, -1),
    CODE.replace('TF0PR', 'TF0UR'),
    CODE.replace('TF0PR', 'TF0P'),
  ];
  for (const attempt of attempts) {
    const message = messageOf(attempt);
    for (const part of CODE.split('-')) expect(message).not.toContain(part);
  }
});
