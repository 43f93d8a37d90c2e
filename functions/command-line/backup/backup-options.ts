import { availableParallelism } from 'node:os';
import { EkkoError } from '#vault/errors.ts';
import { checkName } from '../arguments/check-name.ts';
import { type DiskArgument, readDiskArgument } from '../arguments/read-disk.ts';
import { readSize } from '../arguments/read-size.ts';
import { readInteger, readPercent, readWord } from '../arguments/read-value.ts';
import type { EveryCommand } from '../run-command.ts';

/** What `ekko backup` is told, as typed. */
export interface BackupArguments extends EveryCommand {
  readonly qmp?: string;
  readonly agent?: string;
  readonly group: string;
  readonly quiesce?: string;
  readonly full?: boolean;
  readonly format?: string;
  readonly audit: string;
  readonly bandwidth?: string;
  readonly workers?: string;
  readonly level: string;
  readonly scratch?: string;
}

/** The same, checked. */
export interface BackupOptions {
  readonly disks: readonly DiskArgument[];
  /** The guest's sockets; undefined: the disks are files or devices. */
  readonly guest:
    | { readonly qmp: string; readonly agent: string | undefined; readonly scratch: string | undefined }
    | undefined;
  readonly format: 'raw' | 'qcow2' | undefined;
  readonly group: string;
  readonly quiesce: 'require' | 'prefer' | 'never';
  readonly full: boolean;
  /** 0-1. */
  readonly auditShare: number;
  /** Bytes a second. */
  readonly bandwidth: number | undefined;
  readonly workers: number;
  readonly level: number;
}

const MOST_WORKERS = 256;

/** Throws `bad-input` naming the argument that cannot be meant. */
export function readBackupOptions(disks: readonly string[], given: BackupArguments): BackupOptions {
  const { qmp, agent, scratch, bandwidth, workers, format } = given;
  const quiesce = given.quiesce && readWord(given.quiesce, '--quiesce', ['require', 'prefer', 'never']);
  checkSource(disks, given);
  return {
    disks: disks.map(readDiskArgument),
    guest: qmp === undefined ? undefined : { qmp, agent, scratch },
    format: format === undefined ? undefined : readWord(format, '--format', ['raw', 'qcow2']),
    group: checkName(given.group, 'The group name'),
    quiesce: quiesce || (agent === undefined ? 'never' : 'prefer'),
    full: given.full === true,
    auditShare: readPercent(given.audit, '--audit'),
    bandwidth: bandwidth === undefined ? undefined : readSize(bandwidth, '--bandwidth'),
    workers: workers === undefined ? availableParallelism() : readInteger(workers, '--workers', 1, MOST_WORKERS),
    level: readInteger(given.level, '--level', 1, 3),
  };
}

function checkSource(disks: readonly string[], { qmp, agent, scratch, quiesce, format }: BackupArguments): void {
  if (qmp === undefined && disks.length === 0) {
    throw new EkkoError('bad-input', 'Name the disks: image files, block devices, or a running QEMU by --qmp SOCKET.');
  }
  if (qmp === undefined && (agent ?? scratch) !== undefined) {
    throw new EkkoError('bad-input', '--agent and --scratch are for a running QEMU: name it by --qmp SOCKET.');
  }
  if (qmp !== undefined && format !== undefined) {
    throw new EkkoError('bad-input', '--format is for image files; a running QEMU knows its own.');
  }
  if (quiesce === 'require' && agent === undefined) {
    throw new EkkoError('bad-input', '--quiesce require needs the guest agent: name it by --agent SOCKET.');
  }
}
