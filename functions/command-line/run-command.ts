import { codeOf, EkkoError } from '#vault/errors.ts';
import type { RecipientKind } from '#vault/format/key-epoch.ts';
import { checkJournalPath } from '#vault/sql/sql-address.ts';
import { ExitCode, exitCodeOf } from './exit-codes.ts';
import { Interrupted } from './interruption.ts';
import { openScreen, type Screen, type Streams } from './screen.ts';
import { plainText } from './text/plain-text.ts';

/** What every command takes. */
export interface EveryCommand {
  /** Path of the key file. */
  readonly keyFile?: string;
  /** Path of the journal file. */
  readonly journalFile?: string;
  /** Ask for the escrow code instead. */
  readonly escrowCode?: boolean;
  /** Ask for a passphrase instead. */
  readonly passphrase?: boolean;
  /** Path of a file that holds the passphrase. */
  readonly passphraseFile?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

/** Where the vault's key comes from, and where its SQL journal is. */
export interface GivenKey {
  /** From `--key-file` or EKKO_KEY_FILE. */
  readonly keyFile: string | undefined;
  /** From `--journal-file` or EKKO_JOURNAL_FILE. */
  readonly journalFile: string | undefined;
  /** Which kind of key opens the vault. */
  readonly by: RecipientKind;
  /** Of a passphrase; undefined: it is asked for. */
  readonly passphraseFile: string | undefined;
  readonly screen: Screen;
}

/** What a command is run with. */
export interface CommandContext extends GivenKey {
  readonly verbose: boolean;
}

/** Does a command's work; what it resolves to is the process's exit code. */
export type Work = (context: CommandContext) => Promise<ExitCode>;
export type Runner = (options: EveryCommand, work: Work) => Promise<void>;

export interface Surroundings {
  readonly streams: Streams;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Makes the one function that runs every command: errors become one line, or a document, and an exit code, given to `end`. */
export function createRunner({ streams, environment }: Surroundings, end: (code: ExitCode) => void): Runner {
  return async (options, work) => {
    const screen = openScreen(streams, options.json === true);
    const verbose = options.verbose === true || Boolean(environment['EKKO_DEBUG']);
    const keyFile = options.keyFile ?? (environment['EKKO_KEY_FILE'] || undefined);
    try {
      const given = options.journalFile ?? (environment['EKKO_JOURNAL_FILE'] || undefined);
      const journalFile = given && checkJournalPath(given);
      const { passphraseFile } = options;
      end(await work({ screen, keyFile, journalFile, by: kindOfKey(options), passphraseFile, verbose }));
    } catch (error) {
      end(reportError(screen, error, verbose));
    }
  };
}

function kindOfKey({ escrowCode, passphrase, passphraseFile }: EveryCommand): RecipientKind {
  const byPassphrase = passphrase === true || passphraseFile !== undefined;
  if (escrowCode && byPassphrase) throw new EkkoError('bad-input', 'Give an escrow code or a passphrase, not both.');
  if (byPassphrase) return 'passphrase';
  return escrowCode ? 'escrow' : 'key-file';
}

/** One line `ekko: …`, or `{"error": {"code", "message"}}`; the stack only of an error that is not ours, and only when asked for. */
export function reportError(screen: Screen, error: unknown, verbose: boolean): ExitCode {
  const { code, message } = describeError(error);
  screen.document({ error: { code, message } });
  screen.remark(`ekko: ${message}`);
  if (verbose && error instanceof Error) screen.streams.errors.write(`${stackOf(error)}\n`);
  else if (code === 'unexpected')
    screen.remark('This is a fault of Ekko. Run it again with --verbose and report what it says.');
  return error instanceof Interrupted ? ExitCode.interrupted : exitCodeOf(error);
}

interface ErrorDocument {
  readonly code: string;
  readonly message: string;
}

function describeError(error: unknown): ErrorDocument {
  const message = plainText(error instanceof Error ? error.message : String(error), 4000);
  if (error instanceof Interrupted) return { code: error.code, message };
  return { code: codeOf(error) ?? 'unexpected', message };
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\nbecause of ${stackOf(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}
