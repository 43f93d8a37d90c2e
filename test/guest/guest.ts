import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandPort, CommandResult } from './command-port.ts';
import type { Accelerator, GuestSockets } from './qemu-arguments.ts';

/** A guest that runs. End it with `shutdown`, `stop`, or `await using`. */
export class Guest {
  readonly pid: number;
  readonly accelerator: Accelerator;
  readonly sockets: GuestSockets;
  /** File with all that the guest said on its console. */
  readonly console: string;
  readonly #qemu: ChildProcess;
  readonly #commands: CommandPort;
  readonly #ended: Promise<void>;

  constructor(
    qemu: ChildProcess,
    commands: CommandPort,
    machine: { accelerator: Accelerator; sockets: GuestSockets; console: string },
  ) {
    this.pid = qemu.pid ?? 0;
    this.accelerator = machine.accelerator;
    this.sockets = machine.sockets;
    this.console = machine.console;
    this.#qemu = qemu;
    this.#commands = commands;
    this.#ended = new Promise((resolve) => qemu.once('exit', () => resolve()));
  }

  get running(): boolean {
    return this.#qemu.exitCode === null && this.#qemu.signalCode === null;
  }

  /** Waits until the console has shown `text`; throws with the console's last lines when it has not, or when QEMU ended. */
  async waitFor(text: string, limitMs = 30_000): Promise<void> {
    for (const end = Date.now() + limitMs; ; await sleep(50)) {
      const said = await readFile(this.console, 'latin1').catch(() => '');
      if (said.includes(text)) return;
      const trouble = this.running ? `not within ${limitMs} ms` : 'QEMU ended';
      if (Date.now() > end || !this.running) {
        throw new Error(`Waited for "${text}" on the guest's console: ${trouble}. It said last:\n${said.slice(-1000)}`);
      }
    }
  }

  /** Runs a shell command in the guest, as root; one at a time, others queue. The other disks are under /mnt/vdb, /mnt/vdc, … */
  run(command: string, limitMs = 60_000): Promise<CommandResult> {
    return this.#commands.run(command, limitMs);
  }

  /** Like `run`; gives the output, throws when the exit code is not 0. */
  async check(command: string, limitMs?: number): Promise<string> {
    const { code, output } = await this.run(command, limitMs);
    if (code !== 0) throw new Error(`In the guest, exit code ${code}: ${command}\n${output}`);
    return output;
  }

  /** Lets the guest unmount its disks and power off. */
  async shutdown(limitMs = 20_000): Promise<void> {
    this.#commands.send('sync; umount -a -r; poweroff -f');
    const late = setTimeout(() => void this.stop('SIGKILL'), limitMs);
    await this.#ended;
    clearTimeout(late);
    this.#commands.close();
  }

  /** Ends QEMU by its pid. SIGTERM: QEMU closes its images in order, the guest is not asked. SIGKILL: as if the host had crashed. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    if (this.running) process.kill(this.pid, signal);
    const late = setTimeout(() => this.#qemu.kill('SIGKILL'), 10_000);
    if (this.running) await this.#ended;
    clearTimeout(late);
    this.#commands.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
