import { randomBytes, scrypt } from 'node:crypto';
import { EkkoError } from '../errors.ts';
import type { ScryptSettings, WrappedRootKey } from '../format/key-epoch.ts';
import { fingerprintOf, type Identity, identityOf, X25519_KEY_SIZE } from './identity.ts';
import { wantedKeys } from './wanted-keys.ts';

/** UTF-16 units. Shorter ones are guessed: whoever has the store can try as many as he can pay for. */
export const SHORTEST_PASSPHRASE = 12;
export const LONGEST_PASSPHRASE = 1024;

/** 128 MiB and about 0.4 s of one core: what OWASP recommends for scrypt. */
const N = 2 ** 17;
const R = 8;
const P = 1;
const SALT_SIZE = 16;
/** Somebody who can write to the store may offer us many salts, each of which costs time. */
const MOST_TRIED = 8;

/** A passphrase that nobody guesses at once. Throws `bad-input`, without showing it. */
export function checkPassphrase(text: string): string {
  const count = `it has ${text.length} characters`;
  if (text.length < SHORTEST_PASSPHRASE) throw refused(`${count}, at least ${SHORTEST_PASSPHRASE} are needed`);
  if (text.length > LONGEST_PASSPHRASE) throw refused(`${count}, at most ${LONGEST_PASSPHRASE} are allowed`);
  if (!text.isWellFormed() || /\p{Cc}/u.test(text)) throw refused('it holds a control character or half a character');
  if (new Set(text).size < 6) throw refused('it has fewer than 6 different characters');
  return text;
}

/** A recipient made of a passphrase: its identity, and what must be kept in the vault to make it again. Throws `bad-input`. */
export async function newPassphrase(text: string): Promise<{ identity: Identity; scrypt: ScryptSettings }> {
  const settings = { salt: randomBytes(SALT_SIZE).toString('base64'), n: N, r: R, p: P };
  return { identity: await deriveIdentity(checkPassphrase(text), settings), scrypt: settings };
}

/**
 * The identity that the passphrase has in this vault, of which `offered` says by which settings it is made. Throws `wrong-key` when
 * the passphrase fits none, `bad-input` when it is none at all.
 */
export async function identityOfPassphrase(text: string, offered: readonly WrappedRootKey[]): Promise<Identity> {
  const passphrase = checkPassphrase(text);
  const ours = new Map(offered.flatMap(settingsIn));
  for (const { recipient, scrypt } of [...ours.values()].slice(0, MOST_TRIED)) {
    const identity = await deriveIdentity(passphrase, scrypt);
    if (fingerprintOf(identity.publicKey) === recipient) return identity;
  }
  const found = ours.size === 0 ? 'The vault has no passphrase' : 'The passphrase is not one of this vault';
  const unique = [...new Map(offered.map((each) => [each.recipient, each])).values()];
  throw new EkkoError('wrong-key', `${found}; ${wantedKeys(unique)}.`);
}

/** A recipient's settings, once in each form in which they are told: each key epoch repeats them, and somebody may tell others. */
function settingsIn({ recipient, scrypt: settings }: WrappedRootKey) {
  if (settings === undefined) return [];
  return [[`${recipient} ${settings.salt} ${settings.n}`, { recipient, scrypt: settings }] as const];
}

async function deriveIdentity(passphrase: string, { salt, n, r, p }: ScryptSettings): Promise<Identity> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  // One text may be typed in several ways; NFKC makes them one.
  const bytes = Buffer.from(passphrase.normalize('NFKC'));
  const options = { N: n, r, p, maxmem: 128 * n * r + 1024 * 1024 };
  scrypt(bytes, Buffer.from(salt, 'base64'), X25519_KEY_SIZE, options, (error, key) =>
    error === null ? resolve(key) : reject(error),
  );
  return identityOf(await promise);
}

function refused(found: string): EkkoError {
  return new EkkoError(
    'bad-input',
    `The passphrase cannot be used: ${found}. Six random words make a good one; see that others cannot read it.`,
  );
}
