import { chmod, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Desk, openDesk } from './ekko.ts';
import { range, writeImage } from './test-image.ts';

const MIB = 1024 ** 2;
let desk: Desk;

beforeEach(async () => {
  desk = await openDesk();
  await writeImage(desk.path('disk.img'), { size: 6 * MIB, segments: range(0, 90) });
});
afterEach(() => desk.remove());

/** Runs a command that must succeed, and gives its document. */
async function json(args: readonly string[], options?: Parameters<Desk['run']>[1]) {
  const { code, output, errors } = await desk.run([...args, '--json'], options);
  expect({ args, code, errors }).toEqual({ args, code: 0, errors: '' });
  return JSON.parse(output);
}

async function backup(): Promise<string> {
  const { point } = await json(['backup', 'vault', 'disk.img']);
  return point.id;
}

async function expectRestored(point: string, image: string, args: string[], options?: Parameters<Desk['run']>[1]) {
  await json(['restore', 'vault', point, `${point}.raw`, '--overwrite', ...args], options);
  expect((await readFile(desk.path(`${point}.raw`))).equals(await readFile(desk.path(image)))).toBe(true);
}

test('the keys of a vault over its life: rotated, added, removed, and restored by paper when all else is lost', async () => {
  const { escrow } = await json(['init', 'vault']);
  const typed = { input: `${escrow.code}\n`, keyFile: undefined };
  await json(['escrow', 'vault'], typed);
  const first = await backup();
  await rm(desk.path('first.img'), { force: true });
  await writeFile(desk.path('first.img'), await readFile(desk.path('disk.img')));

  expect(await json(['key', 'rotate', 'vault'])).toMatchObject({ epoch: 2, newlyRemoved: [] });
  await writeImage(desk.path('disk.img'), { size: 6 * MIB, segments: range(3, 90) });
  const second = await backup();
  await expectRestored(first, 'first.img', []);
  await expectRestored(second, 'disk.img', []);

  // A colleague makes a key, and its public half is added.
  const made = await json(['key', 'new', 'theirs']);
  const other = { keyFile: 'theirs' };
  const stranger = await desk.run(['points', 'vault'], other);
  expect(stranger).toMatchObject({ code: 4, errors: expect.stringContaining('was never added to this one') });
  const added = await json(['key', 'add', 'vault', '--recipient', made.recipient, '--label', 'desk in Bonn']);
  expect(added).toMatchObject({ recipient: made.fingerprint, epoch: 2 });
  await expectRestored(first, 'first.img', [], other);
  await expectRestored(second, 'disk.img', [], other);
  const checked = await desk.run(['key', 'check', 'vault'], other);
  expect(checked.output).toMatch(
    /^This key file \([0-9a-f]{16}\) restores this vault: key epochs 1-2, \d+ objects and 2 segments opened/,
  );

  // It is removed again.
  const removed = await desk.run(['key', 'remove', 'vault', 'desk in Bonn']);
  expect(removed).toMatchObject({ code: 0, output: expect.stringContaining('no rotation takes that back') });
  const refused = await desk.run(['restore', 'vault', first, 'no.raw'], other);
  expect(refused).toMatchObject({ code: 4, errors: expect.stringMatching(/was removed .* key epoch 3 began/) });
  const third = await backup();

  const { recipients, removed: gone, epochs } = await json(['key', 'list', 'vault']);
  expect(recipients.map(({ kind }: { kind: string }) => kind)).toEqual(['key-file', 'escrow']);
  expect(gone).toMatchObject([{ label: 'desk in Bonn', lastEpoch: 2 }]);
  expect(epochs).toHaveLength(3);

  // All is lost but the vault and the paper; a new key file takes over.
  await rm(desk.path('key'));
  expect(await json(['key', 'check', 'vault', '--escrow-code'], typed)).toMatchObject({ kind: 'escrow', missing: [] });
  for (const [point, image] of [
    [first, 'first.img'],
    [second, 'disk.img'],
    [third, 'disk.img'],
  ] as const) {
    await expectRestored(point, image, ['--escrow-code'], typed);
  }
  const { recipient } = await json(['key', 'new', 'key']);
  await json(['key', 'add', 'vault', '--recipient', recipient, '--escrow-code'], typed);
  const lost = recipients[0].recipient;
  expect(await json(['key', 'rotate', 'vault', '--remove', lost.slice(0, 8)])).toMatchObject({ epoch: 4 });
  await expectRestored(await backup(), 'disk.img', ['--escrow-code'], typed);
  await json(['verify', 'vault', '--escrow-code'], typed);
});

test('a passphrase opens a vault, and the wrong one is told which keys would', async () => {
  await json(['init', 'vault', '--no-escrow']);
  await backup();
  await writeFile(desk.path('passphrase'), 'correct horse battery staple\n', { mode: 0o600 });
  await writeFile(desk.path('wrong'), 'incorrect horse battery staple\n', { mode: 0o600 });
  const add = ['key', 'add', 'vault', '--new-passphrase-file'];
  expect(await json([...add, 'passphrase', '--label', 'head'])).toMatchObject({ kind: 'passphrase' });
  const withoutKey = { keyFile: undefined };
  await expectRestored('latest', 'disk.img', ['--passphrase-file', 'passphrase'], withoutKey);
  const wrong = await desk.run(['points', 'vault', '--passphrase-file', 'wrong'], withoutKey);
  expect(wrong).toMatchObject({
    code: 4,
    errors: expect.stringMatching(/not one of this vault; use .*\(passphrase "head"/),
  });
  const piped = await desk.run(['points', 'vault', '--passphrase'], {
    ...withoutKey,
    input: 'correct horse battery staple\n',
  });
  expect(piped.code).toBe(0);
  await json(['key', 'rotate', 'vault', '--passphrase-file', 'passphrase'], withoutKey);
  await expectRestored('latest', 'disk.img', ['--passphrase-file', 'passphrase'], withoutKey);
  await chmod(desk.path('passphrase'), 0o640);
  expect((await desk.run(['points', 'vault', '--passphrase-file', 'passphrase'], withoutKey)).code).toBe(4);
  expect((await desk.run([...add, 'short'])).code).toBe(2);
  expect((await desk.run(['key', 'add', 'vault', '--new-passphrase'])).errors).toContain('--new-passphrase-file');
});

test('a vault is not left with one key alone unless that is said', async () => {
  const { escrow } = await json(['init', 'vault']);
  await json(['escrow', 'vault'], { input: `${escrow.code}\n` });
  const refused = await desk.run(['key', 'remove', 'vault', escrow.recipient]);
  expect(refused).toMatchObject({ code: 4, errors: expect.stringContaining('One key alone would open the vault') });
  expect(await readdir(desk.path('vault'))).not.toContain('keys');
  expect(await json(['key', 'remove', 'vault', escrow.recipient, '--no-escrow'])).toMatchObject({ escrow: 'waived' });
  await backup();
});

test('a new escrow code takes the place of one that was lost', async () => {
  const { escrow } = await json(['init', 'vault', '--qr-file', 'page.svg']);
  expect(await readFile(desk.path('page.svg'), 'utf8')).toContain(escrow.code.slice(0, 29));
  expect((await stat(desk.path('page.svg'))).mode & 0o777).toBe(0o600);
  const again = await desk.run(['escrow', 'vault', '--new', '--qr-file', 'page.svg']);
  expect(again).toMatchObject({ code: 2, errors: expect.stringContaining('exists already') });
  const { escrow: fresh } = await json([
    'escrow',
    'vault',
    '--new',
    '--label',
    'safe in room 3',
    '--qr-file',
    'page2.svg',
  ]);
  expect(fresh).toMatchObject({ state: 'missing', code: expect.stringMatching(/^EK1/) });
  const confirmed = await desk.run(['escrow', 'vault', '--qr-file', 'code.png'], { input: `${fresh.code}\n` });
  expect(confirmed).toMatchObject({ code: 0, errors: '' });
  expect(confirmed.output).not.toContain(fresh.code.slice(4, 10));
  await json(['key', 'remove', 'vault', escrow.recipient]);
  await backup();
  await expectRestored('latest', 'disk.img', ['--escrow-code'], { input: `${fresh.code}\n`, keyFile: undefined });
  const old = await desk.run(['points', 'vault', '--escrow-code'], { input: `${escrow.code}\n`, keyFile: undefined });
  expect(old).toMatchObject({ code: 4, errors: expect.stringContaining('was removed') });
  expect((await desk.run(['escrow', 'vault', '--qr'], { input: `${fresh.code}\n` })).errors).toContain('--qr-file');
});

test('a drill says what is missing', async () => {
  await json(['init', 'vault', '--no-escrow']);
  await backup();
  for (const folder of await readdir(desk.path('vault/packs')))
    await rm(desk.path(`vault/packs/${folder}`), { recursive: true });
  const { code, output } = await desk.run(['key', 'check', 'vault']);
  expect(code).toBe(3);
  expect(output).toMatch(/opens the vault, but not all that a restore needs/);
  expect(output).toMatch(/^Restore point .*: .*packs\/.* is missing/m);
});

test.each([
  [['key', 'add', 'vault'], 'Say which key'],
  [['key', 'add', 'vault', '--recipient', 'x', '--new-passphrase'], 'Say which key'],
  [['key', 'add', 'vault', '--recipient', 'x'], 'A recipient is'],
  [['key', 'add', 'vault', '--recipient-file', 'key'], 'private key'],
  [['key', 'remove', 'vault', 'nobody'], 'No key of the vault'],
  [['key', 'new', 'key'], 'exists already'],
  [['points', 'vault', '--escrow-code', '--passphrase'], 'not both'],
])('%j is told what is wrong, and changes nothing', async (args, message) => {
  await json(['init', 'vault', '--no-escrow']);
  const before = await readFile(desk.path('key'));
  const { code, errors } = await desk.run(args);
  expect({ code, errors }).toEqual({ code: 2, errors: expect.stringContaining(message) });
  expect(await readFile(desk.path('key'))).toEqual(before);
  expect(await readdir(desk.path('vault'))).not.toContain('keys');
});
