import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

/** A program to run to its end. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** Added to the environment of the bench. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What a process took, from its start to its end. */
export interface Measured {
  readonly seconds: number;
  /** User and system time of the process and those that it waited for. */
  readonly cpuSeconds: number;
  /** Largest resident set of any one process of it. */
  readonly peakBytes: number;
  readonly output: string;
}

/** How often the peak is looked at; the kernel remembers it, so only the growth of the last moments can be missed. */
const LOOK_MS = 20;
/** The kernel counts CPU time of processes in hundredths of a second, whatever the machine. */
const TICKS_PER_SECOND = 100;

const children = new Set<ChildProcess>();

/** The bench's environment: tools of file systems lie where not every user looks, and their words are parsed. */
export function environment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const { PATH = '' } = process.env;
  return { ...process.env, PATH: `${PATH}:/usr/sbin:/sbin`, LC_ALL: 'C', ...more };
}

/** Sees to it that `endChildren` ends this child, too. */
export function keepTrack(child: ChildProcess): void {
  children.add(child);
  child.once('exit', () => children.delete(child));
}

/** Ends every child that still runs, by its id. */
export function endChildren(): void {
  for (const child of children) child.kill('SIGKILL');
}

/** Starts a program that goes on until it is ended; what it says on standard error is shown. */
export function start({ program, args, cwd, env }: Command): ChildProcess {
  const child = spawn(program, args, { cwd, env: environment(env), stdio: ['ignore', 'ignore', 'inherit'] });
  keepTrack(child);
  return child;
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

/** Runs a program to its end and gives what it took. Throws with what it said when it fails. */
export async function measure({ program, args, cwd, env }: Command): Promise<Measured> {
  const cpuBefore = cpuOfChildren();
  const began = performance.now();
  const child = spawn(program, args, { cwd, env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] });
  keepTrack(child);
  const [output, errors] = [textOf(child.stdout), textOf(child.stderr)];
  const peak = watchPeak(child);
  const [code, signal] = await once(child, 'exit').finally(peak.end);
  const seconds = (performance.now() - began) / 1000;
  const said = { output: await output, errors: await errors };
  if (code !== 0) {
    throw new Error(`${program} ${args.join(' ')} ended with ${code ?? signal}: ${said.errors}${said.output}`);
  }
  return { seconds, cpuSeconds: cpuOfChildren() - cpuBefore, peakBytes: peak.bytes(), output: said.output };
}

/** As `measure`, where only what was written matters. */
export async function outputOf(program: string, ...args: readonly string[]): Promise<string> {
  return (await measure({ program, args })).output;
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

function watchPeak(child: ChildProcess) {
  let most = 0;
  const timer = setInterval(() => {
    if (child.pid !== undefined) most = Math.max(most, peakOf(child.pid));
  }, LOOK_MS);
  return { bytes: () => most, end: () => clearInterval(timer) };
}

/** The largest peak among a process and its descendants; 0 when it is gone. */
function peakOf(pid: number): number {
  const [, kibibytes = '0'] = /^VmHWM:\s+(\d+) kB/m.exec(readIfThere(`/proc/${pid}/status`)) ?? [];
  const descendants = readIfThere(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean);
  return Math.max(Number(kibibytes) * 1024, ...descendants.map((child) => peakOf(Number(child))));
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Of all children that have ended. */
function cpuOfChildren(): number {
  const fields = readIfThere('/proc/self/stat').split(') ')[1]?.split(' ') ?? [];
  const [user = 0, system = 0] = fields.slice(13, 15).map(Number);
  return (user + system) / TICKS_PER_SECOND;
}
