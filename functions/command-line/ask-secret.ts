import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { EkkoError } from '#vault/errors.ts';
import { askLine } from './ask-line.ts';
import { Interrupted } from './interruption.ts';
import type { Screen } from './screen.ts';

/**
 * Asks for one line that does not show on the terminal while it is typed. Without a terminal it is read from standard input like any
 * other. Undefined at the end of input. Throws `Interrupted` on Ctrl-C.
 */
export async function askSecret(screen: Screen, question: string): Promise<string | undefined> {
  if (!screen.canAsk) return askLine(screen, question);
  const { input, errors } = screen.streams;
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  // A terminal of readline's takes the echo away from the system's, and gives its own to `nowhere`.
  const reader = createInterface({ input, output: nowhere, terminal: true, historySize: 0 });
  const interrupted = Promise.withResolvers<never>();
  reader.once('SIGINT', () => interrupted.reject(new Interrupted('Ctrl-C')));
  const ended = new Promise<undefined>((resolve) => reader.once('close', () => resolve(undefined)));
  errors.write(question);
  try {
    return await Promise.race([reader.question(''), ended, interrupted.promise]);
  } finally {
    reader.close();
    errors.write('\n');
  }
}

/** Asks for a new secret twice. Throws `bad-input` when the two differ, when nothing is typed, or when there is no terminal. */
export async function askNewSecret(screen: Screen, what: string, file: string): Promise<string> {
  if (!screen.canAsk) {
    throw new EkkoError(
      'bad-input',
      `A new ${what} is asked for on a terminal, and there is none. Name a file by ${file}.`,
    );
  }
  const first = await askSecret(screen, `New ${what}: `);
  if (first === undefined || first === '') throw new EkkoError('bad-input', `No ${what} was given.`);
  if ((await askSecret(screen, `The same ${what} again: `)) === first) return first;
  throw new EkkoError('bad-input', `The two differ: nothing was done. Begin again.`);
}
