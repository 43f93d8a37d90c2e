import type { Command } from 'commander';
import { addCommand, withEvery, withKey } from '../command-options.ts';
import type { Finding } from '../doctor/finding.ts';
import { ExitCode } from '../exit-codes.ts';
import type { CommandContext, EveryCommand, Runner } from '../run-command.ts';

/** `ekko doctor VAULT` */
export function addDoctor(program: Command, run: Runner): void {
  const summary = 'say what works and what does not: store, vault, key, tools';
  const command = addCommand(program, 'doctor', 'VAULT', summary, 'ekko doctor /backups/web');
  withKey(command.argument('<vault>', 'path or URL of a vault, or of a place for one')).action(
    (vault: string, options: EveryCommand) =>
      run(options, async (context) => {
        const { examine } = await import('../doctor/examine.ts');
        return tell(await examine(vault, context), context);
      }),
  );
  addDoctorCloud(command, run);
}

interface CloudArguments extends EveryCommand {
  readonly catalog?: string;
}

/** `ekko doctor cloud` */
function addDoctorCloud(doctor: Command, run: Runner): void {
  const summary = 'say what a cloud lacks for backups, and why: services, rights, settings, catalog, exporters';
  const command = addCommand(doctor, 'cloud', '', summary, '. openrc && ekko doctor cloud').option(
    '--catalog <url>',
    "URL of Ekko's catalog (or EKKO_CATALOG; default: the one that the installed workflows call)",
  );
  withEvery(command).action((options: CloudArguments) =>
    run(options, async (context) => {
      const { examineCloud } = await import('../doctor/cloud/examine-cloud.ts');
      return tell(await examineCloud(process.env, options.catalog ?? process.env['EKKO_CATALOG']), context);
    }),
  );
}

async function tell(findings: readonly Finding[], { screen }: CommandContext): Promise<ExitCode> {
  const { describeFindings } = await import('../doctor/finding.ts');
  const wrong = findings.filter(({ verdict }) => verdict === 'wrong').length;
  const sum = wrong === 0 ? 'Nothing is wrong.' : `${wrong} of ${findings.length} checks found something wrong.`;
  screen.lines(...describeFindings(findings), '', sum);
  screen.document({ wrong, findings });
  return wrong === 0 ? ExitCode.done : ExitCode.damaged;
}
