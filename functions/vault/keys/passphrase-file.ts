import { EkkoError } from '../errors.ts';
import { checkPassphrase } from './passphrase.ts';
import { readPrivateLines } from './private-file.ts';

/**
 * The passphrase in a file: its one line that is no comment, without the blanks around it. Throws `bad-input` when the file is
 * missing, when others than its owner may read it, or when the passphrase cannot be one, and `bad-format`. No message shows it.
 */
export async function readPassphraseFile(path: string): Promise<string> {
  const meant = 'Give a file whose only line is the passphrase';
  const lines = await readPrivateLines({ path, what: 'Passphrase file', naming: meant, meant });
  const [line] = lines;
  if (line !== undefined && lines.length === 1) return checkPassphrase(Buffer.from(line, 'latin1').toString('utf8'));
  throw new EkkoError(
    'bad-format',
    `Passphrase file ${path} holds ${lines.length} lines that are no comment (#), expected one. ${meant}.`,
  );
}
