import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { connectQmp, type QmpClient } from '../../../host-exporter/qemu/qmp-client.ts';

const run = promisify(execFile);

/** A QEMU without a guest system: writes go through its block layer by qemu-io, as a guest's would, so bitmaps see them. */
export interface RunningQemu {
  readonly child: ChildProcess;
  /** The monitor for the exporter. */
  readonly qmpSocket: string;
  /** A second monitor, for the test. */
  readonly control: QmpClient;
  /** Runs a qemu-io command on a device, e.g. `write -P 0xab 64k 64k`; throws when it fails. */
  io(device: string, command: string): Promise<void>;
  /** What QEMU printed; qemu-io's results among it. */
  output(): string;
  quit(): Promise<void>;
  /** Ends it as a power cut would. */
  kill(): Promise<void>;
}

export interface TestDirectory {
  readonly path: string;
  readonly scratch: string;
  readonly state: string;
  file(name: string): string;
  remove(): Promise<void>;
}

/** A directory with a path short enough for sockets. */
export async function makeDirectory(): Promise<TestDirectory> {
  const path = await mkdtemp(join(tmpdir(), 'ekko-'));
  const [scratch, state] = [join(path, 'scratch'), join(path, 'state')];
  await mkdir(scratch);
  await mkdir(state);
  const remove = () => rm(path, { recursive: true, force: true });
  return { path, scratch, state, file: (name) => join(path, name), remove };
}

export async function qemuImg(...args: readonly string[]): Promise<string> {
  return (await run('qemu-img', args)).stdout;
}

/** Runs a qemu-io command on a qcow2 image that nobody uses. */
export async function qemuIo(image: string, command: string): Promise<void> {
  await run('qemu-io', ['-f', 'qcow2', '-c', command, image]);
}

/** Arguments of a qcow2 or raw disk as management software gives them: own node names and a device id. */
export function blockdevArguments(id: string, path: string, format: 'qcow2' | 'raw'): readonly string[] {
  const file = JSON.stringify({ driver: 'file', filename: path, 'node-name': `${id}-file` });
  const image = JSON.stringify({ driver: format, file: `${id}-file`, 'node-name': `${id}-format` });
  return ['-blockdev', file, '-blockdev', image, '-device', `virtio-blk-pci,drive=${id}-format,id=${id}`];
}

/** Starts QEMU, paused unless `-S` is left out by `running`. */
export async function startQemu(
  directory: TestDirectory,
  args: readonly string[],
  options: { readonly running?: boolean } = {},
): Promise<RunningQemu> {
  const [qmpSocket, controlSocket] = [directory.file('qmp'), directory.file('control')];
  const monitors = [qmpSocket, controlSocket].flatMap((path) => ['-qmp', `unix:${path},server=on,wait=off`]);
  const machine = ['-machine', 'q35,accel=tcg', '-nodefaults', '-display', 'none', '-m', '64'];
  const held = options.running ? [] : ['-S'];
  const child = spawn('qemu-system-x86_64', [...machine, ...held, ...monitors, ...args]);
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (printed += String(bytes)));
  const exited = once(child, 'exit');
  const control = await connectWhenReady(child, controlSocket, () => printed);

  async function io(device: string, command: string): Promise<void> {
    const before = printed.length;
    const line = `qemu-io -d ${await qdevOf(control, device)} "${command}"`;
    const answer = await control.execute('human-monitor-command', { 'command-line': line });
    const said = `${String(answer)}${printed.slice(before)}`;
    if (/failed|error|conflict/i.test(said)) throw new Error(`${line}: ${said}`);
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await exited;
    await control.close();
  }

  return {
    ...{ child, qmpSocket, control, io },
    output: () => printed,
    quit: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}

async function connectWhenReady(child: ChildProcess, path: string, printed: () => string): Promise<QmpClient> {
  for (;;) {
    try {
      return await connectQmp(path);
    } catch (error) {
      if (child.exitCode !== null) throw new Error(`QEMU ended: ${printed()}`, { cause: error });
      await sleep(20);
    }
  }
}

async function qdevOf(control: QmpClient, device: string): Promise<string> {
  const answer = (await control.execute('query-block')) as { device: string; qdev?: string }[];
  const found = answer.find((one) => one.device === device || one.qdev?.includes(`/${device}`));
  if (!found?.qdev) throw new Error(`no device ${device}`);
  return found.qdev;
}

interface Bitmap {
  readonly name: string;
  readonly recording: boolean;
  readonly inconsistent?: boolean;
}

/** The named bitmaps of an image, also while a job's filter stands above it. */
export async function bitmapsOf(qemu: RunningQemu, image: string): Promise<readonly Bitmap[]> {
  const nodes = (await qemu.control.execute('query-named-block-nodes', { flat: true })) as {
    file: string;
    drv: string;
    'dirty-bitmaps'?: readonly Bitmap[];
  }[];
  return nodes.find((node) => node.drv === 'qcow2' && node.file === image)?.['dirty-bitmaps'] ?? [];
}
