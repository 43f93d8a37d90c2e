import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { create } from 'qrcode';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { newEscrow } from '#vault/keys/escrow-code.ts';
import { checkPageFile, writeEscrowPage } from '../../../../functions/command-line/escrow/escrow-page.ts';
import { checkTerminal, qrSvg, showQr } from '../../../../functions/command-line/escrow/qr-code.ts';
import { openScreen } from '../../../../functions/command-line/screen.ts';

const { code } = newEscrow();
const page = {
  ...{ code, vault: '0123456789abcdef'.repeat(2), recipient: '300c9c9603b92a4b' },
  ...{ url: 'file:/backups/<&"', now: new Date('2026-11-20T19:15:03Z') },
};
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-page-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('the page holds the code in text and as a QR code, the vault, the day, and is for its owner only', async () => {
  const path = join(folder, 'page.svg');
  await writeEscrowPage(path, page);
  const svg = await readFile(path, 'utf8');
  const text = [...svg.matchAll(/<tspan[^>]*>([^<]*)</g)].map(([, line]) => line);
  expect(text.join('')).toContain(code);
  expect(text).toContain(`Vault ${page.vault}`);
  expect(text).toContain('in file:/backups/&lt;&amp;&quot;');
  expect(text).toContain('Recipient 300c9c9603b92a4b, printed 2026-11-20');
  const path2 = /stroke="#000000" d="([^"]+)"/.exec(await qrSvg(code))?.[1] ?? 'none';
  expect(svg).toContain(path2);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test('the QR code is of exactly the code', async () => {
  const { modules } = create(code, { errorCorrectionLevel: 'M' });
  const svg = await qrSvg(code);
  const path = /stroke="#000000" d="([^"]+)"/.exec(svg)?.[1] ?? '';
  const dark = [...path.matchAll(/h(\d+)/g)].reduce((sum, [, width]) => sum + Number(width), 0);
  expect(dark).toBe([...modules.data].filter((module) => module !== 0).length);
  expect(await qrSvg(newEscrow().code)).not.toBe(svg);
});

test('a .png is the QR code alone', async () => {
  const path = join(folder, 'code.PNG');
  await writeEscrowPage(path, page);
  expect((await readFile(path)).subarray(1, 4).toString()).toBe('PNG');
});

test('nothing is overwritten, and no other kind of file is written', async () => {
  const path = join(folder, 'page.svg');
  await writeFile(path, 'mine');
  expect(() => checkPageFile(path)).toThrow('exists already');
  await expect(writeEscrowPage(path, page)).rejects.toMatchObject({ code: 'bad-input', message: /EEXIST/ });
  expect(await readFile(path, 'utf8')).toBe('mine');
  expect(() => checkPageFile(join(folder, 'page.pdf'))).toThrow('neither .svg');
});

function screenOn(isTTY: boolean, json = false) {
  const output = Object.assign(new PassThrough(), { isTTY });
  const pieces: Buffer[] = [];
  output.on('data', (piece: Buffer) => pieces.push(piece));
  const screen = openScreen({ input: new PassThrough(), output, errors: new PassThrough() }, json);
  return { screen, shown: () => Buffer.concat(pieces).toString() };
}

test('on a terminal the QR code is shown black on white, as wide on each line', async () => {
  const { screen, shown } = screenOn(true);
  checkTerminal(screen);
  await showQr(screen, code);
  const lines = shown().trimEnd().split('\n');
  const { size } = create(code, { errorCorrectionLevel: 'M' }).modules;
  const [before, after] = ['\x1b[30;47m', '\x1b[0m'];
  expect(lines.filter((line) => !line.startsWith(before) || !line.endsWith(after))).toEqual([]);
  const widths = lines.map((line) => line.length - before.length - after.length);
  expect(new Set(widths)).toEqual(new Set([size + 8]));
});

test('without a terminal it is not shown', () => {
  expect(() => checkTerminal(screenOn(false).screen)).toThrow('--qr-file');
  expect(() => checkTerminal(screenOn(true, true).screen)).toThrow('--qr-file');
});
