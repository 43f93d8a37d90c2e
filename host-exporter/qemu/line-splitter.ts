import { EkkoError } from '#vault/errors.ts';

const NEWLINE = 0x0a;

/**
 * Cuts a byte stream into lines, without their line feed. Give each chunk to the function returned; it throws `bad-format` when a
 * line grows past `largest` bytes, so a peer cannot make us hold more than that.
 */
export function createLineSplitter(largest: number, onLine: (line: Buffer) => void): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let held = 0;

  function keep(part: Buffer): void {
    held += part.length;
    if (held > largest) throw new EkkoError('bad-format', `a line is longer than ${largest} bytes`);
    parts.push(part);
  }

  return (chunk) => {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      keep(chunk.subarray(start, end));
      const line = Buffer.concat(parts);
      parts = [];
      held = 0;
      start = end + 1;
      onLine(line);
    }
    keep(chunk.subarray(start));
  };
}
