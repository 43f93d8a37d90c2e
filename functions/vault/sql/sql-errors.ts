import { EkkoError } from '../errors.ts';
import type { SqlAddress } from './sql-address.ts';
import type { SqlFault, SqlFaultKind } from './sql-driver.ts';

/** What a table is for, in words for people. */
export interface TableWords {
  /** `ekko_journal` */
  readonly name: string;
  /** As in "Cannot read the SQL journal". */
  readonly called: string;
  /** `select and insert` */
  readonly rights: string;
  /** As in "cannot keep a journal". */
  readonly purpose: string;
  /** Where `docs/operations.md` says how it is made. */
  readonly section: string;
  /** What can be done while it is away: a sentence without its dot, or nothing. */
  readonly meanwhile: string;
}

type Advice = (table: TableWords) => string;

const ADVICE: Readonly<Record<SqlFaultKind, Advice>> = {
  again: () => 'Too many others write there at once: try again later',
  lost: ({ meanwhile }) => then('The connection was lost on the way, so the change may have been made', meanwhile),
  unreachable: ({ meanwhile }) => then('See that the server runs and can be reached from here', meanwhile),
  'unknown-host': () => 'Correct the host in the journal file',
  tls: () =>
    'Give the server a certificate for its name and name its issuer by ?sslrootcert=FILE, or say ?sslmode=disable in a network that nobody else can reach',
  login: () => 'Correct user and password in the journal file',
  'no-database': () => 'Make the database, or correct its name in the journal file',
  'no-right': ({ name, rights, section }) =>
    `Give its user the rights to ${rights} in table ${name}, and to create it (or create it yourself: docs/operations.md, ${section})`,
  'read-only': () => 'Name the server that takes writes, not a replica',
  full: () => 'Make room for the database',
  'too-many': () => 'Let the server take more connections, or try again later',
  'too-long': () => 'Let the server take packets of 2 MiB and more (max_allowed_packet)',
  other: () => 'Look at the log of that server',
};

function then(sentence: string, next: string): string {
  return next === '' ? sentence : `${sentence}. ${next}`;
}

/** Codes of the system and of TLS, which all drivers pass on. */
export function systemFault(error: unknown): SqlFault | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  const { code } = error;
  // One address of several: what each one said is in `errors`, the message is empty.
  const words = `${error.message || firstMessage(error)} (${code})`;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return { kind: 'unknown-host', words };
  if (/^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EADDRNOTAVAIL)$/.test(code)) {
    return { kind: 'unreachable', words };
  }
  if (/^(ECONNRESET|EPIPE|ECONNABORTED|ERR_STREAM_DESTROYED|ERR_SOCKET_CLOSED)$/.test(code)) {
    return { kind: 'lost', words };
  }
  if (/^(ENOENT|EACCES|EISDIR)$/.test(code)) return { kind: 'tls', words: `sslrootcert: ${words}` };
  return TLS_CODE.test(code) ? { kind: 'tls', words } : undefined;
}

const TLS_CODE = /^ERR_(TLS|SSL|OSSL)_|CERT|UNABLE_TO_(GET_ISSUER|VERIFY)|^HOSTNAME_MISMATCH$|^EPROTO$/;

function firstMessage(error: Error): string {
  const [first]: unknown[] = error instanceof AggregateError ? error.errors : [];
  return first instanceof Error ? first.message : 'failed';
}

/** What to throw for a statement that failed. `what`: `insert into`. */
export function sqlFailure(
  { url }: SqlAddress,
  table: TableWords,
  what: string,
  fault: SqlFault,
  cause: unknown,
): EkkoError {
  const words = fault.words.replace(/\s+/g, ' ').slice(0, 500).replace(/\.$/, '');
  const advice = ADVICE[fault.kind](table);
  return new EkkoError('store-failed', `Cannot ${what} the ${table.called} ${url}: ${words}. ${advice}.`, { cause });
}
