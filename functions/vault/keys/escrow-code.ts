import { EkkoError } from '../errors.ts';
import { checkSymbols, findErrors } from './escrow-check.ts';
import { type Identity, identityOf, newIdentity, X25519_KEY_SIZE } from './identity.ts';

/** Crockford's base32: no I, L, O, U. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const BITS = 5;
const GROUP_SIZE = 5;
/** Tells an escrow code, and its version, from other paper. */
const TAG = 'EK1';
/** 52 characters hold 256 bits of key and 4 zero bits. */
const KEY_SYMBOLS = Math.ceil((X25519_KEY_SIZE * 8) / BITS);
const CHECK_GROUPS = 2;
const GROUPS = (TAG.length + KEY_SYMBOLS) / GROUP_SIZE + CHECK_GROUPS;
const SYMBOLS = GROUPS * GROUP_SIZE;
/** Bounds the work for a text that is no code at all. */
const LONGEST_TEXT = 1000;
const BETWEEN = /[\s_.\u2010-\u2015-]+/;

/**
 * A fresh identity as a code for paper: `EK1` and the private key in Crockford's base32, in groups of five, and two check groups
 * (`docs/format.md`, "vault.json"). The code is a secret.
 */
export function newEscrow(): { readonly code: string; readonly publicKey: Buffer } {
  const { identity, privateKey } = newIdentity();
  return { code: formatEscrowCode(privateKey), publicKey: identity.publicKey };
}

/** The code of a raw 32-byte private key. */
export function formatEscrowCode(privateKey: Uint8Array): string {
  const data = [...symbolsOfText(TAG), ...symbolsOf(privateKey)];
  const symbols = [...data, ...checkSymbols(data, GROUP_SIZE)];
  const groups = Array.from({ length: GROUPS }, (_, group) =>
    symbols.slice(group * GROUP_SIZE, (group + 1) * GROUP_SIZE),
  );
  return groups.map((group) => group.map((symbol) => ALPHABET[symbol]).join('')).join('-');
}

/**
 * The identity of a code as typed: upper or lower case, O for 0, I or L for 1, any blanks or dashes.
 * Throws `bad-input` that names the wrong group where one can be told, and never shows what was typed.
 */
export function readEscrowCode(text: string): Identity {
  const symbols = symbolsTyped(text);
  const errors = findErrors(symbols, GROUP_SIZE);
  if (errors !== 'none')
    throw refused(errors === 'several' ? 'it holds several typing errors' : `group ${errors + 1} is wrong`);
  if (symbolsOfText(TAG).some((symbol, at) => symbols[at] !== symbol)) {
    throw refused(`it does not begin with ${TAG}: another version of Ekko made it`);
  }
  const privateKey = bytesOf(symbols.slice(TAG.length, TAG.length + KEY_SYMBOLS));
  if (privateKey === undefined) throw refused('no Ekko wrote it');
  return identityOf(privateKey);
}

function symbolsTyped(text: string): number[] {
  if (text.length > LONGEST_TEXT) throw refused(`it has ${text.length} characters`);
  const groups = text.split(BETWEEN).filter((group) => group !== '');
  const symbols = symbolsOfText(groups.join(''));
  checkLength(groups, symbols.length);
  const odd = symbols.indexOf(-1);
  if (odd === -1) return symbols;
  const place = `group ${Math.floor(odd / GROUP_SIZE) + 1}, character ${(odd % GROUP_SIZE) + 1}`;
  throw refused(`${place} is neither a digit nor a letter that a code uses (it uses no I, L, O or U)`);
}

function checkLength(groups: readonly string[], length: number): void {
  const odd = groups.findIndex((group) => [...group].length !== GROUP_SIZE);
  if (groups.length === GROUPS && odd !== -1) {
    throw refused(`group ${odd + 1} has ${[...(groups[odd] ?? '')].length} characters instead of ${GROUP_SIZE}`);
  }
  if (length !== SYMBOLS)
    throw refused(`it has ${length} characters instead of ${SYMBOLS} (${GROUPS} groups of ${GROUP_SIZE})`);
}

/** What each character stands for; -1 where it stands for nothing. */
function symbolsOfText(text: string): number[] {
  const plain = text.toUpperCase().replaceAll('O', '0').replace(/[IL]/g, '1');
  return [...plain].map((letter) => ALPHABET.indexOf(letter));
}

function symbolsOf(bytes: Uint8Array): number[] {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return Array.from({ length: KEY_SYMBOLS }, (_, at) =>
    Number.parseInt(bits.slice(at * BITS, (at + 1) * BITS).padEnd(BITS, '0'), 2),
  );
}

/** The key in 52 symbols, or undefined when the bits left over are not zero. */
function bytesOf(symbols: readonly number[]): Buffer | undefined {
  const bits = symbols.map((symbol) => symbol.toString(2).padStart(BITS, '0')).join('');
  const size = X25519_KEY_SIZE * 8;
  if (/1/.test(bits.slice(size))) return undefined;
  return Buffer.from(
    Array.from({ length: X25519_KEY_SIZE }, (_, at) => Number.parseInt(bits.slice(at * 8, at * 8 + 8), 2)),
  );
}

function refused(found: string): EkkoError {
  return new EkkoError(
    'bad-input',
    `The escrow code was not accepted: ${found}. Compare it with the paper and type it again.`,
  );
}
