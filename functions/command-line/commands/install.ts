import type { Command } from 'commander';
import { addCommand, withEvery } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

interface InstallArguments extends EveryCommand {
  readonly catalog?: string;
  readonly public?: boolean;
  readonly check?: boolean;
  readonly zaqar?: string;
  readonly mailServer?: string;
  readonly mailFrom?: string;
}

/** `ekko install` */
export function addInstall(program: Command, run: Runner): void {
  const summary = 'put the workflows into the Mistral of a cloud, or update them';
  const command = addCommand(
    program,
    'install',
    '',
    summary,
    'ekko install --public --catalog https://ekko.example.org',
  )
    .option('--catalog <url>', "URL of Ekko's catalog, as Mistral reaches it (or EKKO_CATALOG)")
    .option('--public', 'for all projects; only an administrator may (default: for the project of OS_* or OS_CLOUD)')
    .option('--check', 'say what is missing or differs, and change nothing')
    .option('--zaqar <url>', 'URL of Zaqar without /v2, for notifications by queue')
    .option('--mail-server <host:port>', 'mail server for notifications by mail; it is given no password')
    .option('--mail-from <address>', 'who those mails come from');
  withEvery(command).action((options: InstallArguments) =>
    run(options, async ({ screen }) => {
      const [
        { openCloud },
        { checkInstallation, install },
        { checkCatalogUrl, checkZaqarUrl, readWorkbooks },
        { describeSteps },
      ] = await Promise.all([
        import('../cloud/open-cloud.ts'),
        import('../install/install.ts'),
        import('../install/workbooks.ts'),
        import('../install/describe-steps.ts'),
      ]);
      const catalog = checkCatalogUrl(options.catalog ?? process.env['EKKO_CATALOG']);
      const { zaqar, mailServer: mail_server, mailFrom: mail_from } = options;
      const workbooks = await readWorkbooks({
        catalog,
        ...(zaqar !== undefined && { zaqar: checkZaqarUrl(zaqar) }),
        ...(mail_server !== undefined && { mail_server }),
        ...(mail_from !== undefined && { mail_from }),
      });
      const cloud = await openCloud(process.env);
      const scope = options.public === true ? 'public' : 'private';
      const steps = options.check ? await checkInstallation(cloud, workbooks) : await install(cloud, workbooks, scope);
      screen.lines(...describeSteps(steps));
      screen.document({ catalog, scope, steps });
      return options.check && steps.some(({ state }) => state !== 'current') ? ExitCode.damaged : ExitCode.done;
    }),
  );
}
