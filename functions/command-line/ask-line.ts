import { createInterface } from 'node:readline/promises';
import { Interrupted } from './interruption.ts';
import type { Screen } from './screen.ts';

/** A line that is longer is not what was asked for, whatever sends it. */
const LONGEST_LINE = 4096;

/** Asks for one line, with the question on standard error where a person sits. Undefined at the end of input. Throws `Interrupted` on Ctrl-C. */
export async function askLine({ streams, canAsk }: Screen, question: string): Promise<string | undefined> {
  const { input, errors } = streams;
  const reader = createInterface({ input, output: canAsk ? errors : undefined, terminal: canAsk });
  const interrupted = Promise.withResolvers<never>();
  reader.once('SIGINT', () => interrupted.reject(new Interrupted('Ctrl-C')));
  const ended = new Promise<undefined>((resolve) => reader.once('close', () => resolve(undefined)));
  try {
    const line = await Promise.race([reader.question(canAsk ? question : ''), ended, interrupted.promise]);
    return line?.slice(0, LONGEST_LINE);
  } finally {
    reader.close();
  }
}
