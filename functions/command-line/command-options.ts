import type { Command } from 'commander';

/** A command with its help and an example. `usage` is what stands behind its name. */
export function addCommand(program: Command, name: string, usage: string, summary: string, example: string): Command {
  return program
    .command(name)
    .summary(summary)
    .description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`)
    .usage(`${usage} [OPTIONS]`)
    .helpOption('-h, --help', 'show this help')
    .addHelpText('after', `\nExample:\n  ${example.replaceAll('\n', '\n  ')}`);
}

/** What every command takes; called last, so that a command's own options come first in its help. */
export function withEvery(command: Command): Command {
  return command
    .option('--json', 'print one JSON document instead of text')
    .option('--verbose', 'say more: log lines of functions, stacks of errors');
}

/** The same, and the key, for commands that open the vault. */
export function withKey(command: Command): Command {
  return withJournal(command.option('--key-file <file>', 'the key file (or EKKO_KEY_FILE)'));
}

/** The same without a key, for commands that write to the journal. */
export function withJournal(command: Command): Command {
  return withEvery(
    command.option('--journal-file <file>', 'where the SQL journal is, if the vault has one (or EKKO_JOURNAL_FILE)'),
  );
}

/** For commands that can do without the key file: what is left when it is lost must be enough to restore, and to make another. */
export function withKeyOrCode(command: Command): Command {
  return withKey(
    command
      .option('--escrow-code', 'open the vault by its escrow code, read from standard input')
      .option('--passphrase', 'open it by a passphrase, which is asked for')
      .option('--passphrase-file <file>', 'the same, from a file that only you can read'),
  );
}
