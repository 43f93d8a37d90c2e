import type { Command } from 'commander';
import { EkkoError } from '#vault/errors.ts';
import { addCommand, withKeyOrCode } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { CommandContext, EveryCommand, Runner } from '../run-command.ts';

interface RetentionArguments extends EveryCommand {
  readonly group?: string;
  readonly set?: string;
  readonly confirm?: boolean;
  readonly apply?: boolean;
  readonly dryRun?: boolean;
  readonly explain?: boolean;
  readonly simulate?: boolean;
  readonly every?: string;
  readonly for?: string;
}

const EXAMPLE = `ekko retention /backups/web --set daily=7,weekly=4,monthly=12 --confirm
ekko retention /backups/web --apply
ekko retention /backups/web --set hourly=24,daily=30 --simulate --every 1h --for 400d`;

/** `ekko retention VAULT` */
export function addRetention(program: Command, run: Runner): void {
  const summary = 'say which restore points are kept, and delete the others';
  const command = addCommand(program, 'retention', 'VAULT', summary, EXAMPLE)
    .argument('<vault>', 'path or URL of the vault')
    .option('--group <name>', 'only this group (default: all)')
    .option('--set <rules>', 'last, hourly, daily, weekly, monthly, yearly, within, zone')
    .option('--apply', 'delete what no rule keeps; for a week it can be brought back')
    .option('--confirm', 'I have seen what goes: no waiting, however much it is')
    .option('--dry-run', 'change nothing, also with --set and --apply')
    .option('--explain', 'say for each point why it stays and when it goes')
    .option('--simulate', 'say what the rules, of --set or in force, would have kept; changes nothing')
    .option('--every <time>', 'simulate a future too: a point each 1h, 1d, …')
    .option('--for <time>', 'and for how long: 30d, 52w, …');
  withKeyOrCode(command).action((vault: string, options: RetentionArguments) =>
    run(options, (context) => (isTrial(options) ? showTrial(vault, options, context) : work(vault, options, context))),
  );
}

function isTrial({ simulate = false, every, for: duration, apply = false }: RetentionArguments): boolean {
  if (simulate && apply) throw new EkkoError('bad-input', '--simulate changes nothing: leave --apply out.');
  if (simulate || (every === undefined && duration === undefined)) return simulate;
  throw new EkkoError('bad-input', '--every and --for make up a future for --simulate: say that too.');
}

async function showTrial(vault: string, options: RetentionArguments, context: CommandContext): Promise<ExitCode> {
  const [{ openCommandVault }, { describeTrial, tryPolicy }] = await Promise.all([
    import('../open-command-vault.ts'),
    import('../retention/try-policy.ts'),
  ]);
  const { group, set: rules, every, for: duration } = options;
  const { journal } = await openCommandVault(vault, context);
  const tried = tryPolicy(journal.state(), { group, rules, every, duration, now: new Date() });
  context.screen.lines(...tried.flatMap((each, at) => (at === 0 ? describeTrial(each) : ['', ...describeTrial(each)])));
  context.screen.document({ simulated: tried });
  return ExitCode.done;
}

async function work(vault: string, options: RetentionArguments, context: CommandContext): Promise<ExitCode> {
  const [{ openCommandVault }, { retain }, { describeRetention }] = await Promise.all([
    import('../open-command-vault.ts'),
    import('../retention/retain.ts'),
    import('../retention/retention-words.ts'),
  ]);
  const { group, set, confirm: confirmed = false, apply = false, dryRun = false, explain = false } = options;
  const opened = await openCommandVault(vault, context);
  const now = new Date();
  const report = await retain(opened, { group, set, confirmed, apply, dryRun, now });
  context.screen.lines(...describeRetention(vault, report, explain, now));
  context.screen.document(report);
  const stopped = report.applied?.groups.some((each) => each.stopped !== undefined) ?? false;
  return stopped && !dryRun ? ExitCode.failed : ExitCode.done;
}
