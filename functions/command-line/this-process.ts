import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** How this process signs the runs it starts, so that a later one can tell whether it still lives. */
export interface ProcessSignature {
  readonly host: string;
  /** `<pid>.<start, in ticks since boot>@<boot id>/<pid namespace>`: a process id alone is used again, and means another process in a container. */
  readonly process: string;
}

export function thisProcess(): ProcessSignature {
  return { host: hostname(), process: `${process.pid}.${startOf(String(process.pid)) ?? '0'}@${thisPlace()}` };
}

/** Whether the process that signed is certainly gone: it ran here and does so no more. Of other hosts and containers nothing is known. */
export function isGone(signature: { readonly host: string; readonly process?: string }): boolean {
  const [, pid, start, boot, space] = /^(\d+)\.(\d+)@([^/]*)\/(.*)$/.exec(signature.process ?? '') ?? [];
  if (signature.host !== hostname() || pid === undefined) return false;
  if (boot !== bootId()) return true;
  return space === pidNamespace() && startOf(pid) !== start;
}

function thisPlace(): string {
  return `${bootId()}/${pidNamespace()}`;
}

/** When a process began (proc(5), field 22 of `stat`); undefined when there is none. */
function startOf(pid: string): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the program's name in brackets and may hold anything, so count from behind it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return 'unknown';
  }
}

/** `pid:[4026531836]` */
function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return 'unknown';
  }
}
