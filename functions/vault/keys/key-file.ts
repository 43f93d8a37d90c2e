import { constants } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { EkkoError } from '../errors.ts';
import { decodeKey, fingerprintOf, formatRecipient, type Identity, identityOf, newIdentity } from './identity.ts';
import { readPrivateLines, sayingLines } from './private-file.ts';

const KEY_LINE = /^ekko-key-1:([A-Za-z0-9_-]{43})$/;

/**
 * Makes a key file with a fresh identity, readable by its owner only and flushed to disk. Never overwrites.
 * Throws `bad-input` when it cannot be made there.
 */
export async function createKeyFile(path: string): Promise<Identity> {
  const { identity, privateKey } = newIdentity();
  const file = await openNew(path);
  try {
    try {
      await file.writeFile(keyFileText(identity, privateKey));
      await file.sync();
    } finally {
      await file.close();
    }
    await flushFolder(dirname(resolve(path)));
  } catch (cause) {
    await unlink(path).catch(() => undefined);
    throw unusable(path, 'cannot be written', cause);
  }
  return identity;
}

/**
 * The identity in a key file. Throws `bad-input` when it is missing, or when others than its owner may read it, and `bad-format`
 * when it is something else. No message holds any of its bytes.
 */
export async function readKeyFile(path: string): Promise<Identity> {
  const naming = 'Give the key file by --key-file or EKKO_KEY_FILE';
  return identityIn(await readPrivateLines({ path, what: 'Key file', naming, meant: MEANT }), `Key file ${path}`);
}

/**
 * The identity in the text of a key file that is kept elsewhere; `origin` names it. Throws `bad-format` when it is something else. No
 * message holds any of its bytes.
 */
export function identityInText(text: string, origin: string): Identity {
  return identityIn(sayingLines(text), origin);
}

const MEANT = 'Give the file that ekko wrote';

function identityIn(keys: readonly string[], origin: string): Identity {
  const coded = keys.length === 1 ? KEY_LINE.exec(keys[0] ?? '')?.[1] : undefined;
  const privateKey = coded === undefined ? undefined : decodeKey(coded);
  if (privateKey !== undefined) return identityOf(privateKey);
  throw new EkkoError('bad-format', `${origin} ${whatIsWrong(keys)}. ${MEANT}.`);
}

/** What a key file says, for people and for Ekko. Secret. */
export function keyFileText(identity: Identity, privateKey: Buffer): string {
  return `# Ekko key file, version 1.
# Whoever can read this file can read every backup in the vaults that name this recipient:
#   ${formatRecipient(identity.publicKey)}
#   fingerprint ${fingerprintOf(identity.publicKey)}
# Without it, or the vault's escrow code, nothing can be restored: keep a copy in another place.
ekko-key-1:${privateKey.toString('base64url')}
`;
}

async function openNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600);
  } catch (cause) {
    const exists = codeIs(cause, 'EEXIST');
    throw unusable(path, exists ? 'exists already, and a key is never overwritten' : 'cannot be made', cause);
  }
}

/** A key that a power cut takes away would take the vault with it. */
async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } catch (error) {
    // Some file systems cannot flush a folder, and say so by this code.
    if (!codeIs(error, 'EINVAL')) throw error;
  } finally {
    await folder.close();
  }
}

function whatIsWrong(keys: readonly string[]): string {
  if (keys.length > 1) return `holds ${keys.length} lines that are no comment, expected one`;
  if (keys.length === 0) return 'holds no key';
  const version = /^ekko-key-(\d{1,4}):/.exec(keys[0] ?? '')?.[1];
  if (version === undefined) return 'holds no line that begins with ekko-key-1:';
  return version === '1' ? 'holds a key that is cut or changed' : `is of version ${version}, this release reads 1`;
}

function codeIs(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function unusable(path: string, found: string, cause: unknown): EkkoError {
  const reason = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
  return new EkkoError('bad-input', `Key file ${path} ${found}${reason}. Choose another place.`, { cause });
}
