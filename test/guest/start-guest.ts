import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cache } from '../setup/cache.ts';
import type { GuestImage } from './build-guest.ts';
import { CommandPort } from './command-port.ts';
import { Guest } from './guest.ts';
import { type Accelerator, type GuestDisk, type Machine, qemuArguments } from './qemu-arguments.ts';

export type { GuestDisk } from './qemu-arguments.ts';

export interface GuestSettings {
  readonly image: Pick<GuestImage, 'kernel' | 'initrd'>;
  /** Takes the sockets and the console's log, unless named below. Keep its path short: sockets have at most 107 bytes. */
  readonly directory: string;
  readonly disks: readonly GuestDisk[];
  readonly qmpSocket?: string;
  readonly agentSocket?: string;
  readonly console?: string;
  /** Default: KVM where it works, else TCG. */
  readonly accelerator?: Accelerator;
  readonly bootLimitMs?: number;
}

const kvmLimitMs = 8000;
const kvmHangs = join(cache, 'kvm-hangs');

/** Starts a guest and waits until it is ready for commands: 1 s with KVM, 3-8 s with TCG. */
export async function startGuest(settings: GuestSettings): Promise<Guest> {
  if (settings.accelerator === 'tcg' || (settings.accelerator === undefined && !kvmIsWorthATry())) {
    return boot(settings, 'tcg');
  }
  let guest: Guest | undefined;
  try {
    // QEMU itself may end over a KVM that lacks something.
    guest = await launch(settings, 'kvm');
    await guest.waitFor('ekko: kernel is up', kvmLimitMs);
  } catch (cause) {
    await guest?.stop();
    if (settings.accelerator === 'kvm') throw cause;
    rememberThatKvmHangs();
    return boot(settings, 'tcg');
  }
  return ready(guest, settings);
}

function kvmIsWorthATry(): boolean {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return !existsSync(kvmHangs);
  } catch {
    return false;
  }
}

function rememberThatKvmHangs(): void {
  writeFileSync(kvmHangs, 'The guest did not boot with KVM on this machine. Remove this file to try again.\n');
}

async function boot(settings: GuestSettings, accelerator: Accelerator): Promise<Guest> {
  return ready(await launch(settings, accelerator), settings);
}

async function ready(guest: Guest, settings: GuestSettings): Promise<Guest> {
  try {
    await guest.waitFor('ekko: guest is ready', settings.bootLimitMs ?? 60_000);
    return guest;
  } catch (cause) {
    await guest.stop();
    throw cause;
  }
}

function machineOf(settings: GuestSettings, accelerator: Accelerator): Machine {
  const { image, directory, disks } = settings;
  const sockets = {
    qmp: settings.qmpSocket ?? join(directory, 'qmp.sock'),
    agent: settings.agentSocket ?? join(directory, 'agent.sock'),
    commands: join(directory, 'commands.sock'),
  };
  const console = settings.console ?? join(directory, 'console.log');
  return { kernel: image.kernel, initrd: image.initrd, disks, sockets, console, accelerator };
}

async function launch(settings: GuestSettings, accelerator: Accelerator): Promise<Guest> {
  const machine = machineOf(settings, accelerator);
  const qemu = await spawnQemu(machine);
  const ended = new Promise<never>((_, reject) => {
    qemu.once('error', reject);
    qemu.once('exit', () => reject(new Error(`QEMU ended at once:\n${readFileSync(machine.console, 'latin1')}`)));
  });
  const commands = await Promise.race([ended, CommandPort.open(machine.sockets.commands, 10_000)]);
  // From here on the guest watches its process itself.
  ended.catch(() => undefined);
  return new Guest(qemu, commands, machine);
}

async function spawnQemu(machine: Machine): Promise<ChildProcess> {
  // Begins the log anew: an earlier boot's lines must not be taken for this one's.
  await writeFile(machine.console, '');
  const log = await open(machine.console, 'a');
  const qemu = spawn('qemu-system-x86_64', qemuArguments(machine), { stdio: ['ignore', log.fd, log.fd] });
  await log.close();
  const endWithUs = (): void => void qemu.kill('SIGKILL');
  process.once('exit', endWithUs);
  qemu.once('exit', () => process.off('exit', endWithUs));
  return qemu;
}
