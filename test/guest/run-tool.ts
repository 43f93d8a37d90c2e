import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

// mkfs.ext4 lies in sbin, which is not on every user's path.
const { PATH = '' } = process.env;
const env = { ...process.env, PATH: `${PATH}:/usr/sbin:/sbin`, LC_ALL: 'C' };

/** Runs a program of the machine to its end, with `more` in its environment, and gives what it wrote. Throws with what it said on standard error. */
export async function runTool(
  program: string,
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  try {
    return (await run(program, args, { env: { ...env, ...more }, maxBuffer: 64 << 20 })).stdout;
  } catch (cause) {
    throw new Error(`${program} failed: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
