import { chmod, readdir, readFile, rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Desk, openDesk } from './ekko.ts';
import { range, writeImage } from './test-image.ts';

const MIB = 1024 ** 2;
let desk: Desk;

beforeEach(async () => {
  desk = await openDesk();
  await desk.run(['init', 'vault', '--no-escrow']);
  await writeImage(desk.path('disk.img'), { size: 24 * MIB, segments: range(0, 384) });
});
afterEach(() => desk.remove());

describe('a key', () => {
  test('that is missing is asked for', async () => {
    const { code, errors } = await desk.run(['points', 'vault'], { keyFile: undefined });
    expect({ code, errors }).toEqual({
      code: 4,
      errors: 'ekko: No key was given. Name the key file by --key-file or EKKO_KEY_FILE.\n',
    });
  });

  test('whose file is not there is named', async () => {
    const { code, errors } = await desk.run(['points', 'vault', '--key-file', 'nowhere']);
    expect({ code, errors }).toEqual({ code: 4, errors: expect.stringMatching(/^ekko: Key file nowhere is missing/) });
  });

  test('of another vault opens nothing, and the backup reads nothing', async () => {
    await desk.run(['init', 'other', '--no-escrow', '--key-file', 'other-key']);
    const { code, output, errors } = await desk.run(['backup', 'vault', 'disk.img', '--key-file', 'other-key']);
    expect({ code, output }).toEqual({ code: 4, output: '' });
    expect(errors).toMatch(
      /^ekko: Key [0-9a-f]{16} does not open vault [0-9a-f]{32}: it is the key of another vault, .* use [0-9a-f]{16} \(key file, since \d{4}-\d\d-\d\d\)\.\n$/,
    );
  });

  test('that others may read is refused', async () => {
    await chmod(desk.path('key'), 0o644);
    const { code, errors } = await desk.run(['points', 'vault']);
    expect({ code, errors }).toEqual({ code: 4, errors: expect.stringContaining('Run: chmod 600 key') });
  });
});

describe('escrow', () => {
  test('is printed once, and no backup begins before its code is typed back', async () => {
    const made = await desk.run(['init', 'safe', '--key-file', 'key2']);
    const code = escrowCodeIn(made.output);
    expect(made.output).toContain('`ekko escrow safe`');

    const refused = await desk.run(['backup', 'safe', 'disk.img', '--key-file', 'key2']);
    expect({ code: refused.code, output: refused.output }).toEqual({ code: 4, output: '' });
    expect(refused.errors).toContain('`ekko escrow');
    expect(await readdir(desk.path('safe/journal'))).toHaveLength(1);

    const wrong = await desk.run(['escrow', 'safe'], {
      input: `${code.slice(0, -1)}${code.endsWith('A') ? 'B' : 'A'}\n`,
    });
    expect({ code: wrong.code, errors: wrong.errors }).toEqual({
      code: 2,
      errors: expect.stringContaining('group 13 is wrong'),
    });
    expect((await desk.run(['escrow', 'safe'], { input: '' })).code).toBe(2);

    const right = await desk.run(['escrow', 'safe'], { input: `${code.toLowerCase()}\n`, keyFile: undefined });
    expect({ code: right.code, errors: right.errors }).toEqual({ code: 0, errors: '' });
    expect((await desk.run(['backup', 'safe', 'disk.img', '--key-file', 'key2'])).code).toBe(0);
    expect((await desk.run(['doctor', 'safe', '--key-file', 'key2'])).output).toMatch(/^ok +escrow +confirmed$/m);
  });

  test('is enough to list, verify and restore when the key file is lost', async () => {
    const made = await desk.run(['init', 'safe', '--key-file', 'key2', '--json']);
    const input = `${JSON.parse(made.output).escrow.code}\n`;
    await desk.run(['escrow', 'safe'], { input });
    await desk.run(['backup', 'safe', 'disk.img', '--key-file', 'key2']);
    await rm(desk.path('key2'));
    for (const command of [
      ['points', 'safe'],
      ['verify', 'safe'],
      ['restore', 'safe', 'latest', 'restored.raw'],
    ]) {
      const { code, errors } = await desk.run([...command, '--escrow-code'], { input, keyFile: undefined });
      expect({ command, code, errors }).toEqual({ command, code: 0, errors: '' });
    }
    expect((await readFile(desk.path('restored.raw'))).equals(await readFile(desk.path('disk.img')))).toBe(true);
    expect((await desk.run(['points', 'safe', '--escrow-code'], { input: 'EK1\n' })).code).toBe(4);
  });

  test('of another vault is refused', async () => {
    await desk.run(['init', 'one', '--key-file', 'key1']);
    const two = await desk.run(['init', 'two', '--key-file', 'key2', '--json']);
    const { escrow } = JSON.parse(two.output);
    const { code } = await desk.run(['escrow', 'one'], { input: `${escrow.code}\n` });
    expect(code).toBe(4);
  });
});

function escrowCodeIn(output: string): string {
  return (output.match(/^ {4}[0-9A-Z-]+$/gm) ?? []).join('').replaceAll(' ', '');
}
