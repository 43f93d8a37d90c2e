import type { Command } from 'commander';
import type { BackupArguments } from '../backup/backup-options.ts';
import { addCommand, withKey } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { Runner } from '../run-command.ts';

const EXAMPLE = `ekko backup /backups/web root=disk.qcow2 /dev/vg/data
ekko backup /backups/web --qmp /run/web.qmp --agent /run/web.agent`;

/** `ekko backup VAULT DISK...` */
export function addBackup(program: Command, run: Runner): void {
  const summary = 'back up disks as one restore point';
  const command = addCommand(program, 'backup', 'VAULT [NAME=]DISK...', summary, EXAMPLE)
    .argument('<vault>', 'path or URL of the vault')
    .argument('[disk...]', 'image files, block devices, or disks of the guest (default: all of them); NAME= names one')
    .option('--qmp <socket>', 'the monitor of a running QEMU: only what changed is read')
    .option('--agent <socket>', 'the agent of its guest: file systems are made still for a moment')
    .option('--quiesce <how>', 'require, prefer, or never (default: prefer with --agent, else never)')
    .option('--group <name>', 'what the disks belong to', 'default')
    .option('--full', 'read everything, whatever the bitmaps say')
    .option('--format <format>', 'of image files: raw or qcow2 (default: looked for)')
    .option('--audit <percent>', 'share of unchanged segments to compare all the same', '0.1')
    .option('--bandwidth <size>', 'read at most so much a second, such as 100M')
    .option('--workers <count>', 'threads that process what was read (default: one a core)')
    .option('--level <level>', 'compression, 1 to 3', '1')
    .option('--scratch <folder>', 'where QEMU keeps what the guest overwrites meanwhile (default: /var/tmp/ekko)');
  withKey(command).action((vault: string, disks: readonly string[], given: BackupArguments) =>
    run(given, async (context) => {
      const [{ readBackupOptions }, { backUp }, { describeBackup }] = await Promise.all([
        import('../backup/backup-options.ts'),
        import('../backup/back-up.ts'),
        import('../backup/describe-backup.ts'),
      ]);
      const report = await backUp(vault, readBackupOptions(disks, given), context);
      context.screen.lines(...describeBackup(report));
      context.screen.document(report);
      return ExitCode.done;
    }),
  );
}
