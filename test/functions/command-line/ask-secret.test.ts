import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { askNewSecret, askSecret } from '../../../functions/command-line/ask-secret.ts';
import { openScreen } from '../../../functions/command-line/screen.ts';

/** A terminal at which somebody types, each line when he is asked for it. */
function terminal(...lines: string[]) {
  const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => undefined });
  const output = new PassThrough();
  const errors = Object.assign(new PassThrough(), { isTTY: true });
  let shown = '';
  const left = [...lines];
  for (const stream of [output, errors]) {
    stream.on('data', (bytes: Buffer) => {
      shown += bytes.toString();
      if (bytes.toString().endsWith(': ')) setImmediate(() => input.write(left.shift() ?? '\u0004'));
    });
  }
  return { screen: openScreen({ input, output, errors }, false), shown: () => shown };
}

test('a secret is typed without being shown', async () => {
  const { screen, shown } = terminal('open sesame\r');
  expect(await askSecret(screen, 'Passphrase: ')).toBe('open sesame');
  expect(shown()).toBe('Passphrase: \n');
});

test('what is deleted while typing is not part of it', async () => {
  const { screen } = terminal('open sesamX\u007fe\r');
  expect(await askSecret(screen, 'Passphrase: ')).toBe('open sesame');
});

test('a new secret is asked for twice', async () => {
  const { screen, shown } = terminal('open sesame\r', 'open sesame\r');
  expect(await askNewSecret(screen, 'passphrase', '--file')).toBe('open sesame');
  expect(shown()).not.toContain('sesame');
});

test('a new secret that differs the second time is refused', async () => {
  const { screen, shown } = terminal('open sesame\r', 'open sesami\r');
  await expect(askNewSecret(screen, 'passphrase', '--file')).rejects.toThrow('The two differ');
  expect(shown()).not.toContain('sesam');
});

test('Ctrl-C and the end of input give nothing', async () => {
  await expect(askSecret(terminal('open\u0003').screen, 'Passphrase: ')).rejects.toThrow('Interrupted');
  expect(await askSecret(terminal().screen, 'Passphrase: ')).toBeUndefined();
  await expect(askNewSecret(terminal('\r').screen, 'passphrase', '--file')).rejects.toThrow('No passphrase was given');
});

test('without a terminal a secret is read from standard input, and a new one is not asked for', async () => {
  const input = new PassThrough();
  input.end('open sesame\n');
  const screen = openScreen({ input, output: new PassThrough(), errors: new PassThrough() }, false);
  expect(await askSecret(screen, 'Passphrase: ')).toBe('open sesame');
  await expect(askNewSecret(screen, 'passphrase', '--file')).rejects.toThrow('--file');
});
