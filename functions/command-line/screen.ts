import type { Readable, Writable } from 'node:stream';
import { plainText } from './text/plain-text.ts';

/** What a command reads from and writes to. */
export interface Streams {
  readonly input: Readable & { readonly isTTY?: boolean };
  readonly output: Writable & { readonly isTTY?: boolean };
  readonly errors: Writable & { readonly isTTY?: boolean; readonly columns?: number };
}

/** Where a command says what it found: lines for people on standard output, or one JSON document there and no line at all. */
export interface Screen {
  readonly json: boolean;
  readonly streams: Streams;
  /** Whether there is a person at a terminal who can be asked something. */
  readonly canAsk: boolean;
  /** Lines of the report. Nothing with `--json`. */
  lines(...texts: readonly string[]): void;
  /** A line beside the report, on standard error: a warning, what happens now. Nothing with `--json`. */
  remark(text: string): void;
  /** The one document. Nothing without `--json`. */
  document(value: unknown): void;
}

const CLEAR_LINE = '\r\x1b[K';

export function openScreen(streams: Streams, json: boolean): Screen {
  return {
    json,
    streams,
    canAsk: !json && streams.input.isTTY === true && streams.errors.isTTY === true,
    lines(...texts) {
      if (!json) for (const text of texts) streams.output.write(`${plainText(text)}\n`);
    },
    remark(text) {
      // A progress bar may stand there.
      const clear = streams.errors.isTTY ? CLEAR_LINE : '';
      if (!json) streams.errors.write(`${clear}${plainText(text)}\n`);
    },
    document(value) {
      if (json) streams.output.write(`${JSON.stringify(value, null, 2)}\n`);
    },
  };
}
