import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { EkkoError } from '#vault/errors.ts';
import { plainText } from '../text/plain-text.ts';
import { codeLines } from './escrow-paper.ts';
import { qrPng, qrSvg } from './qr-code.ts';

/** What stands on the page. */
export interface EscrowPage {
  readonly code: string;
  /** Id of the vault, and where it lies. */
  readonly vault: string;
  readonly url: string;
  /** Fingerprint of the code's recipient. */
  readonly recipient: string;
  readonly now: Date;
}

/** Throws `bad-input` for a file that is neither .svg nor .png, or that is there already. */
export function checkPageFile(path: string): void {
  if (!/\.(svg|png)$/i.test(path)) {
    throw new EkkoError(
      'bad-input',
      `--qr-file ${path} is neither .svg (a page to print) nor .png (the QR code alone).`,
    );
  }
  if (existsSync(path))
    throw new EkkoError('bad-input', `${path} exists already, and is not overwritten. Choose another place.`);
}

/** Writes the page, or the QR code alone, for its owner's eyes only. Throws `bad-input` when it cannot be written there. */
export async function writeEscrowPage(path: string, page: EscrowPage): Promise<void> {
  const body = /\.png$/i.test(path) ? await qrPng(page.code) : await svgPage(page);
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(body);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
    throw new EkkoError('bad-input', `${path} cannot be written${code}. Choose another place.`, { cause });
  }
}

/** A4, in millimetres. */
const [WIDTH, HEIGHT] = [210, 297];
const [LEFT, QR_SIZE] = [20, 70];

async function svgPage(page: EscrowPage): Promise<string> {
  const qr = (await qrSvg(page.code)).replace(
    '<svg ',
    `<svg x="${LEFT}" y="92" width="${QR_SIZE}" height="${QR_SIZE}" `,
  );
  const about: readonly string[] = [
    `Vault ${page.vault}`,
    `in ${page.url}`,
    `Recipient ${page.recipient}, printed ${page.now.toISOString().slice(0, 10)}`,
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}mm" height="${HEIGHT}mm" viewBox="0 0 ${WIDTH} ${HEIGHT}">`,
    '<rect width="100%" height="100%" fill="#ffffff"/>',
    textAt(28, 8, 'sans-serif', ['Ekko escrow code']),
    textAt(38, 4, 'sans-serif', about),
    textAt(64, 6, 'monospace', codeLines(page.code)),
    qr,
    textAt(176, 4, 'sans-serif', INSTRUCTIONS),
    '</svg>',
    '',
  ].join('\n');
}

const INSTRUCTIONS = [
  'This code opens every backup in the vault, without the key file.',
  'Whoever has it can read them all: keep this page where the vault and its key file are not,',
  'and delete the file that it was printed from.',
  '',
  'To try it: ekko key check VAULT --escrow-code',
  'To restore: ekko restore VAULT latest TARGET --escrow-code',
  '',
  'The code is asked for: type the groups above, in upper or lower case, or scan the square.',
  'A group that is wrong is named. The code has no I, L, O or U.',
];

function textAt(y: number, size: number, family: string, lines: readonly string[]): string {
  const spans = lines.map((line, at) => {
    const baseline = y + at * size * 1.6;
    return `<tspan x="${LEFT}" y="${baseline.toFixed(1)}">${escaped(line)}</tspan>`;
  });
  return `<text font-family="${family}" font-size="${size}" xml:space="preserve">${spans.join('')}</text>`;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escaped(line: string): string {
  return plainText(line, 110).replace(/[&<>"]/g, (odd) => ENTITIES[odd] ?? '');
}
