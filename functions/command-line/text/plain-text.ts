/**
 * Text from elsewhere (names of disks, messages of programs) made fit for a terminal: control characters, which could move the cursor
 * or hide lines, are shown as `\x1b`; what is longer than `most` is cut.
 */
export function plainText(text: string, most = 1000): string {
  const line = text.toWellFormed().replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (odd) => escapeOf(odd));
  return line.length <= most ? line : `${line.slice(0, most - 1).toWellFormed()}…`;
}

function escapeOf(odd: string): string {
  if (odd === '\n') return '\\n';
  const code = odd.charCodeAt(0).toString(16);
  return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
}
