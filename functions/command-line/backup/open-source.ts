import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { EkkoError } from '#vault/errors.ts';
import type { ChangedBlockSource } from '#vault/staging/changed-block-source.ts';
import { bundlePath } from '../../host/bundles.ts';
import type { BackupOptions } from './backup-options.ts';

/** Where the disks come from: files and devices, or a running QEMU. Throws what opening them throws. */
export function openSource(options: BackupOptions): Promise<ChangedBlockSource> {
  return options.guest === undefined ? openFiles(options) : openGuest(options, options.guest);
}

async function openFiles({ disks, format }: BackupOptions): Promise<ChangedBlockSource> {
  const { openFileSource } = await import('../../../host-exporter/changed-blocks/file-source.ts');
  const choices = disks.map(({ place, name }) => ({
    path: place,
    ...(name === undefined ? {} : { name }),
    ...(format === undefined ? {} : { format }),
  }));
  return openFileSource(choices, await makeFolder(stateFolder()).catch(() => undefined));
}

async function openGuest({ disks }: BackupOptions, guest: NonNullable<BackupOptions['guest']>) {
  const { openQemuSource } = await import('../../../host-exporter/changed-blocks/qemu-source.ts');
  const choices = disks.map(({ place, name }) => ({ device: place, ...(name === undefined ? {} : { name }) }));
  return openQemuSource({
    qmpSocket: resolve(guest.qmp),
    ...(guest.agent === undefined ? {} : { agentSocket: resolve(guest.agent) }),
    ...(choices.length === 0 ? {} : { disks: choices }),
    scratchDirectory: await makeFolder(resolve(guest.scratch ?? DEFAULT_SCRATCH)),
    stateDirectory: await makeFolder(stateFolder()),
    watchdogCommand: [process.execPath, bundlePath('thaw-watchdog')],
  });
}

/** Survives what /tmp may not, and is on a disk where /tmp may be memory. */
const DEFAULT_SCRATCH = '/var/tmp/ekko';

/** Where a record that a guest must be thawed survives a restart of the host. */
function stateFolder(): string {
  if (process.getuid?.() === 0) return '/var/lib/ekko';
  return join(process.env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'), 'ekko');
}

async function makeFolder(path: string): Promise<string> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    return path;
  } catch (cause) {
    throw new EkkoError('bad-input', `Folder ${path} cannot be made: ${String(cause)}. See --scratch.`, { cause });
  }
}
