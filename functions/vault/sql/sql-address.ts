import { EkkoError } from '../errors.ts';
import { readPrivateLines } from '../keys/private-file.ts';

/** Where a SQL journal is, and how to get in. Holds a password: hand it over in memory only. */
export interface SqlAddress {
  readonly kind: 'mariadb' | 'postgresql';
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly tls: TlsMode;
  /** Path of a PEM file with the certificates that may vouch for the server's; undefined: those of the system. */
  readonly rootCertificates: string | undefined;
  /** For messages: kind, host, port and database. Never holds a credential. */
  readonly url: string;
}

/** As libpq calls them: no TLS; TLS with whoever answers; TLS with a server whose certificate is good for its name. */
export type TlsMode = 'disable' | 'require' | 'verify-full';

const NAMING = 'Name the journal file by --journal-file or EKKO_JOURNAL_FILE';
const FORM = 'postgresql://user:password@host:5432/database or mariadb://user:password@host:3306/database';
const KINDS = { postgresql: 'postgresql', postgres: 'postgresql', mariadb: 'mariadb', mysql: 'mariadb' } as const;
const PORTS = { postgresql: 5432, mariadb: 3306 } as const;
const MODES: readonly TlsMode[] = ['disable', 'require', 'verify-full'];

/**
 * The address in a journal file: one line with a URL, which only the file's owner may read. Throws `bad-input` when there is no such
 * file, others may read it, or a URL was given in place of a path; `bad-format` when it says something else. No message holds any of its bytes.
 */
export async function readJournalFile(path: string): Promise<SqlAddress> {
  checkJournalPath(path);
  const meant = `It holds one line, ${FORM}`;
  const lines = await readPrivateLines({ path, what: 'Journal file', naming: NAMING, meant });
  const [line, ...more] = lines;
  if (line !== undefined && more.length === 0) return parseSqlAddress(line, `Journal file ${path}`);
  const found = line === undefined ? 'holds no URL' : `holds ${lines.length} lines that are no comment, expected one`;
  throw new EkkoError('bad-format', `Journal file ${path} ${found}. ${meant}.`);
}

/** Throws `bad-input` when a URL was given in place of a path, with no part of it. */
export function checkJournalPath(path: string): string {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(path)) return path;
  const why = 'arguments and variables can be read by others, and a URL may hold a password';
  throw new EkkoError('bad-input', `${NAMING}, not a URL: ${why}. Write the URL into a file of mode 0600.`);
}

/** The address that a URL means. Throws `bad-format` naming `origin`, with no part of the URL. */
export function parseSqlAddress(text: string, origin: string): SqlAddress {
  const url = parseUrl(text, origin);
  const kind = KINDS[url.protocol.slice(0, -1) as keyof typeof KINDS];
  const database = decoded(url.pathname.slice(1), origin);
  if (kind === undefined || url.hostname === '' || url.username === '' || !/^[^/]+$/.test(database)) {
    throw refuse(origin, `holds no URL of the form ${FORM}`);
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = url.port === '' ? PORTS[kind] : Number(url.port);
  return {
    ...{ kind, host, port, database, ...readOptions(url, host, origin) },
    user: decoded(url.username, origin),
    password: decoded(url.password, origin),
    url: `${kind}://${url.hostname}:${port}/${database}`,
  };
}

function parseUrl(text: string, origin: string): URL {
  // Anything else would be read in one encoding here and in another by the server.
  if (!/^[\x21-\x7e]+$/.test(text)) throw refuse(origin, 'holds blanks or other than ASCII: percent-encode them (%20)');
  const url = URL.parse(text);
  if (url !== null) return url;
  throw refuse(
    origin,
    `holds no URL of the form ${FORM}. Percent-encode what is special in a password (/ is %2F, @ is %40)`,
  );
}

function readOptions(url: URL, host: string, origin: string): Pick<SqlAddress, 'tls' | 'rootCertificates'> {
  const { sslmode, sslrootcert, ...others } = Object.fromEntries(url.searchParams);
  const [odd] = Object.keys(others);
  if (odd !== undefined) throw refuse(origin, 'has an option in its URL that is not sslmode or sslrootcert');
  const tls = sslmode === undefined ? usualMode(host) : MODES.find((mode) => mode === sslmode);
  if (tls !== undefined) return { tls, rootCertificates: sslrootcert };
  throw refuse(origin, `asks for an unknown sslmode: it is one of ${MODES.join(', ')}`);
}

/** What is said to this very machine nobody can listen to. */
function usualMode(host: string): TlsMode {
  return /^(localhost|127\.[\d.]+|::1)$/i.test(host) ? 'disable' : 'verify-full';
}

function decoded(text: string, origin: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refuse(origin, 'holds a "%" that is no percent-encoding: write it as %25');
  }
}

function refuse(origin: string, found: string): EkkoError {
  return new EkkoError('bad-format', `${origin} ${found}.`);
}
