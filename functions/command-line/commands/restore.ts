import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { addCommand, withKeyOrCode } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { RestoreOptions } from '../restore/restore-point.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

export interface RestoreArguments extends EveryCommand {
  readonly format?: string;
  readonly overwrite?: boolean;
  readonly bestEffort?: boolean;
  readonly flush?: boolean;
  readonly workers?: string;
}

const EXAMPLE = `ekko restore /backups/web latest/root root.qcow2
ekko restore /backups/web 20261120-191503 restored/`;
const SUMMARY = 'restore a point, or one disk of it; goes on where it was cut off';

/** `ekko restore VAULT POINT[/DISK] TARGET` */
export function addRestore(program: Command, run: Runner): void {
  const command = addCommand(program, 'restore', 'VAULT POINT[/DISK] TARGET', SUMMARY, EXAMPLE)
    .argument('<vault>', 'path or URL of the vault')
    .argument('<point>', 'id of the point, the beginning of one, or `latest`; behind a "/" one disk')
    .argument('<target>', 'a file, a block device, or a folder for several disks')
    .option('--format <format>', 'raw or qcow2 (default: qcow2 for a file that ends like that, else raw)')
    .option('--overwrite', 'write over what is there')
    .option('--best-effort', 'write what is intact, list what is not, and end with code 3')
    .option('--flush', 'end only when all is on stable storage; a restore then resumes after a power cut too')
    .option('--workers <count>', 'threads (default: one a core)');
  withKeyOrCode(command).action((vault: string, point: string, target: string, given: RestoreArguments) =>
    run(given, async (context) => {
      const options = await readOptions(given);
      const [{ restorePoint }, { describeRestore }] = await Promise.all([
        import('../restore/restore-point.ts'),
        import('../restore/describe-restore.ts'),
      ]);
      const report = await restorePoint(vault, point, target, options, context);
      context.screen.lines(...describeRestore(report));
      context.screen.document(report);
      return report.disks.some(({ unreadable }) => unreadable.length > 0) ? ExitCode.damaged : ExitCode.done;
    }),
  );
}

async function readOptions({
  format,
  overwrite,
  bestEffort,
  flush,
  workers,
}: RestoreArguments): Promise<RestoreOptions> {
  const { readInteger, readWord } = await import('../arguments/read-value.ts');
  return {
    format: format === undefined ? undefined : readWord(format, '--format', ['raw', 'qcow2']),
    overwrite: overwrite === true,
    bestEffort: bestEffort === true,
    flush: flush === true,
    workers: workers === undefined ? availableParallelism() : readInteger(workers, '--workers', 1, 256),
  };
}
