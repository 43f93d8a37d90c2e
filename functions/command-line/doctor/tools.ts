import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Finding } from './finding.ts';

const TOOLS = [
  { program: 'qemu-img', need: 'restores to qcow2 images' },
  { program: 'qemu-storage-daemon', need: 'restores to qcow2 images' },
  { program: 'qemu-nbd', need: 'backups of qcow2 images that no QEMU runs' },
] as const;

const ANSWER_MS = 5000;

/** Programs that are called for some work only; the rest of Ekko does without. */
export function findTools(): Promise<Finding[]> {
  return Promise.all(TOOLS.map(({ program, need }) => findTool(program, need)));
}

async function findTool(program: string, need: string): Promise<Finding> {
  try {
    const { stdout } = await promisify(execFile)(program, ['--version'], { timeout: ANSWER_MS });
    return { subject: program, verdict: 'ok', found: /(\d+\.\d[\w.+-]*)/.exec(stdout)?.[1] ?? 'is there' };
  } catch {
    const advice = 'Install the QEMU tools (Debian: qemu-utils, qemu-system-common).';
    return { subject: program, verdict: 'note', found: `not found: needed for ${need}`, advice };
  }
}
