import { readFile, stat } from 'node:fs/promises';
import { EkkoError } from '#vault/errors.ts';
import { parseRecipient } from '#vault/keys/identity.ts';

const LARGEST = 65_536;

/** The public key in a file that holds a recipient text. Throws `bad-input` for any other file, above all for one that holds a private key. */
export async function readRecipientFile(path: string): Promise<Buffer> {
  const text = await readSmall(path);
  if (/ekko-key-\d/.test(text)) {
    const advice = 'It is secret and stays with its owner: pass on only the line that begins with ekko-recipient-1:';
    throw new EkkoError('bad-input', `${path} holds a private key. ${advice}`);
  }
  const found = new Set(text.match(/ekko-recipient-\d+:[\w-]*/g));
  const [only] = found;
  if (only !== undefined && found.size === 1) return parseRecipient(only);
  throw new EkkoError('bad-input', `${path} holds ${found.size} recipients, expected one: ekko-recipient-1:…`);
}

async function readSmall(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size <= LARGEST) return await readFile(path, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
    throw new EkkoError('bad-input', `Recipient file ${path} cannot be read${code}.`, { cause });
  }
  throw new EkkoError('bad-input', `Recipient file ${path} has more than ${LARGEST} bytes: that is no recipient.`);
}
