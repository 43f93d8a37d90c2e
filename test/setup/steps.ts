import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkout } from './cache.ts';
import { countTests, type TestCounts, type VitestReport } from './test-counts.ts';

const bin = join(checkout, 'node_modules', '.bin');

export interface StepResult {
  readonly ok: boolean;
  readonly counts: TestCounts;
}

/** Runs a program of the checkout; says in a line how it went and how long it took. A failure shows all that it wrote. */
export async function runCheck(name: string, program: string, args: readonly string[]): Promise<StepResult> {
  const start = performance.now();
  const { ok, output } = await runQuietly(program, args);
  tell(name, ok, start, output);
  return { ok, counts: { passed: 0, failed: ok ? 0 : 1, skipped: 0, triedAgain: [] } };
}

/** Runs vitest's project. `show`: its own lines are shown as they come; else only when something fails. */
export async function runTests(project: string, args: readonly string[], show: boolean): Promise<StepResult> {
  const start = performance.now();
  const folder = await mkdtemp(join(tmpdir(), 'ekko-tests-'));
  const file = join(folder, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const all = ['run', '--project', project, '--passWithNoTests', ...reporters, ...args];
  const { ok, output } = await (show ? runAloud('vitest', all) : runQuietly('vitest', all));
  const counts = countTests(await readReport(file), ok);
  await rm(folder, { recursive: true, force: true });
  tell(`${project} tests`, ok && counts.failed === 0, start, output);
  return { ok: ok && counts.failed === 0, counts };
}

function tell(name: string, ok: boolean, start: number, output: string): void {
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (!ok) process.stdout.write(output);
  console.log(`${name.padEnd(12)} ${ok ? 'ok' : 'FAILED'}  ${seconds} s`);
}

async function readReport(file: string): Promise<VitestReport | undefined> {
  return readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as VitestReport,
    () => undefined,
  );
}

interface Ended {
  readonly ok: boolean;
  readonly output: string;
}

function runQuietly(program: string, args: readonly string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(bin, program), args, { cwd: checkout, stdio: ['ignore', 'pipe', 'pipe'] });
    const parts: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => parts.push(part));
    child.once('error', reject);
    child.once('close', (code) => resolve({ ok: code === 0, output: Buffer.concat(parts).toString() }));
  });
}

function runAloud(program: string, args: readonly string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(bin, program), args, { cwd: checkout, stdio: ['ignore', 'inherit', 'inherit'] });
    child.once('error', reject);
    child.once('close', (code) => resolve({ ok: code === 0, output: '' }));
  });
}
