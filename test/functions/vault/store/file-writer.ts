/**
 * A process that writes into a file store, for tests: `node file-writer.ts DIRECTORY WRITER COUNT SIZE`. Creates the keys
 * `race/<n>` for n below COUNT, each SIZE bytes of its own number WRITER, and sends what came of each, and from when to when it took, as a line of JSON.
 * It sends `ready` when it has started, and begins when its input ends. When the input is a time (milliseconds), key n is begun
 * 5n ms after it, so that several writers meet at each key.
 */
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { openFileStore } from '#vault/store/file-store.ts';

const [directory = '', writer = '', count = '', size = ''] = process.argv.slice(2);
const store = openFileStore(directory);
const whole = Buffer.alloc(Number(size), Number(writer));
const half = Math.floor(whole.length / 2);

/** Milliseconds, in fractions, of the one clock that all processes share. */
const now = () => performance.timeOrigin + performance.now();

process.stdout.write('ready\n');
const begin = Number(await text(process.stdin));
for (let n = 0; n < Number(count); n++) {
  await setTimeout(Math.max(0, begin + 5 * n - Date.now()));
  const from = now();
  const line = await store.create(`race/${n}`, [whole.subarray(0, half), whole.subarray(half)]).then(
    (outcome) => ({ n, outcome }),
    (error: unknown) => ({ n, failure: error instanceof Error ? error.message : String(error) }),
  );
  process.stdout.write(`${JSON.stringify({ ...line, from, to: now() })}\n`);
}
