import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DaemonOptions, startDaemon, untilItAnswers } from './service.ts';

const TAIL = 4000;

/**
 * Starts a daemon and resolves with its pid when `probe` does not throw any more. When the daemon ends before that, or does not
 * answer within `seconds`, it rejects with the end of the daemon's log.
 */
export async function startAnswering(
  folder: string,
  name: string,
  command: readonly [string, ...string[]],
  probe: () => Promise<unknown>,
  { seconds = 300, ...options }: DaemonOptions & { readonly seconds?: number } = {},
): Promise<number> {
  const pid = await startDaemon(folder, name, command, options);
  let ended = false;
  const probeTheLiving = async () => {
    ended = !alive(pid);
    if (!ended) await probe();
  };
  try {
    await untilItAnswers(probeTheLiving, seconds);
    if (ended) throw new Error(`${command[0]} ended.`);
    return pid;
  } catch (cause) {
    const log = join(folder, `${name}.log`);
    throw new Error(
      `${name} did not start: ${String(cause)} ${log} ends with:\n${(await readFile(log, 'utf8')).slice(-TAIL)}`,
      {
        cause,
      },
    );
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
