import { toBuffer, toString as toText } from 'qrcode';
import { EkkoError } from '#vault/errors.ts';
import type { Screen } from '../screen.ts';

/** Medium: a quarter of the code may be unreadable; the text beside it is the rest of the insurance. */
const LEVEL = { errorCorrectionLevel: 'M' } as const;

/** Throws `bad-input` unless the report goes to a terminal: a code that is piped somewhere stays there. */
export function checkTerminal({ json, streams }: Screen): void {
  if (!json && streams.output.isTTY === true) return;
  throw new EkkoError('bad-input', '--qr shows the code on a terminal, and there is none. Write a page by --qr-file.');
}

/** Shows the code on the terminal, black on white whatever its colours are. */
export async function showQr({ streams }: Screen, code: string): Promise<void> {
  const text = await toText(code, { ...LEVEL, type: 'utf8' });
  const lines = text.split('\n').filter((line) => line !== '');
  streams.output.write(`${lines.map((line) => `\x1b[30;47m${line}\x1b[0m`).join('\n')}\n\n`);
}

/** The code as an SVG image of its own coordinates. */
export function qrSvg(code: string): Promise<string> {
  return toText(code, { ...LEVEL, type: 'svg' });
}

export function qrPng(code: string): Promise<Buffer> {
  return toBuffer(code, { ...LEVEL, type: 'png', scale: 8 });
}
