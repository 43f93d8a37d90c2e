import { Command, CommanderError } from 'commander';
import packageFile from '../../package.json' with { type: 'json' };
import { addBackup } from './commands/backup.ts';
import { addCompact } from './commands/compact.ts';
import { addCopy } from './commands/copy.ts';
import { addDelete } from './commands/delete.ts';
import { addDiff } from './commands/diff.ts';
import { addDoctor } from './commands/doctor.ts';
import { addEscrow } from './commands/escrow.ts';
import { addExtendLocks } from './commands/extend-locks.ts';
import { addHold } from './commands/hold.ts';
import { addInit } from './commands/init.ts';
import { addInstall } from './commands/install.ts';
import { addJournal } from './commands/journal.ts';
import { addKeyCommands } from './commands/key.ts';
import { addPoints } from './commands/points.ts';
import { addRelease } from './commands/release.ts';
import { addRepair } from './commands/repair.ts';
import { addRestore } from './commands/restore.ts';
import { addRetention } from './commands/retention.ts';
import { addServe } from './commands/serve.ts';
import { addShow } from './commands/show.ts';
import { addSweep } from './commands/sweep.ts';
import { addUndelete } from './commands/undelete.ts';
import { addVerify } from './commands/verify.ts';
import { EXIT_CODE_HELP, ExitCode } from './exit-codes.ts';
import { createRunner, type Runner, type Surroundings } from './run-command.ts';

/** Runs `ekko` with its arguments; resolves to the exit code. Nothing is thrown. */
export async function runProgram(args: readonly string[], surroundings: Surroundings): Promise<ExitCode> {
  let code: ExitCode = ExitCode.done;
  const run = createRunner(surroundings, (ended) => {
    code = ended;
  });
  try {
    await createProgram(run, surroundings).parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return endOfParsing(error, args, surroundings);
  }
}

function createProgram(run: Runner, { streams }: Surroundings): Command {
  const program = new Command('ekko')
    .description('Block-level backup: incremental forever, deduplicated, encrypted.')
    .version(packageFile.version, '-V, --version')
    .usage('COMMAND [OPTIONS]')
    .helpCommand('help [COMMAND]', 'show the help of a command')
    .addHelpText('after', HELP)
    .showSuggestionAfterError()
    .configureHelp({ subcommandTerm: termOf, showGlobalOptions: false })
    .configureOutput({
      writeOut: (text) => streams.output.write(text),
      writeErr: (text) => streams.errors.write(text),
      outputError: () => undefined,
    })
    .exitOverride();
  for (const add of [
    addInit,
    addEscrow,
    addKeyCommands,
    addBackup,
    addPoints,
    addShow,
    addDiff,
    addRestore,
    addVerify,
    addRepair,
    addCopy,
    addRetention,
    addDelete,
    addUndelete,
    addHold,
    addRelease,
    addSweep,
    addExtendLocks,
    addCompact,
    addDoctor,
    addInstall,
    addJournal,
    addServe,
  ])
    add(program, run);
  return program;
}

const HELP = `
Begin with:
  ekko init /backups/web --key-file ~/ekko.key
  ekko backup /backups/web disk.img --key-file ~/ekko.key

${EXIT_CODE_HELP}`;

function termOf(command: Command): string {
  return `${command.name()} ${command.usage().replace(/ ?\[OPTIONS\]/, '')}`.trim();
}

/** Help and version are printed already; a mistake in the arguments is told like every other error. */
function endOfParsing(error: CommanderError, args: readonly string[], { streams }: Surroundings): ExitCode {
  if (error.exitCode === 0) return ExitCode.done;
  const message = error.message
    .replace(/^error: /, '')
    .replace(/^\(outputHelp\)$/, 'No command was given. See `ekko --help`.');
  if (error.code === 'commander.help') return ExitCode.calledWrongly;
  const sentence = `${message.charAt(0).toUpperCase()}${message.slice(1)}`.replace(/\n/g, ' ');
  if (args.includes('--json')) {
    streams.output.write(`${JSON.stringify({ error: { code: 'bad-input', message: sentence } }, null, 2)}\n`);
  } else streams.errors.write(`ekko: ${sentence}\n`);
  return ExitCode.calledWrongly;
}
