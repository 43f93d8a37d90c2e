import { EkkoError } from '#vault/errors.ts';
import type { Consistency, MomentRequest } from '#vault/staging/changed-block-source.ts';
import { holdStill } from '../qemu/hold-still.ts';
import type { QemuSettings } from './qemu-settings.ts';

/** The moment's result, and how still the guest was: recorded, never assumed. */
export interface Quiesced<T> {
  readonly result: T;
  readonly consistency: Consistency;
  readonly note: string;
  readonly frozenMs: number;
}

/**
 * Does `work` with the guest as still as `mode` asks. `file-system` is claimed only where the agent froze file systems and they were
 * still frozen afterwards; `application` never, as a failing hook in the guest does not stop the agent. Throws when `require` fails.
 */
export async function quiesceGuest<T>(
  settings: QemuSettings,
  mode: MomentRequest['quiesce'],
  running: boolean,
  work: () => Promise<T>,
): Promise<Quiesced<T>> {
  const { agentSocket, stateDirectory, freezeMs, thaw, watchdogCommand } = settings;
  const obstacle = whyNot(mode, agentSocket, running);
  if (agentSocket === undefined || obstacle !== undefined) {
    if (mode === 'require') throw new EkkoError('qemu-failed', `The guest must be quiesced: ${obstacle}`);
    return { result: await work(), consistency: 'crash', note: obstacle ?? '', frozenMs: 0 };
  }
  const options = {
    ...{ agentSocket, stateDirectory, freezeMs, thaw, watchdogMs: 2 * freezeMs + thaw.patienceMs },
    ...(watchdogCommand ? { watchdogCommand } : {}),
  };
  const { result, frozen, note, frozenMs } = await holdStill(options, mode === 'require', work);
  return { result, consistency: frozen ? 'file-system' : 'crash', note, frozenMs };
}

function whyNot(mode: MomentRequest['quiesce'], agentSocket: string | undefined, running: boolean): string | undefined {
  if (mode === 'never') return 'quiescing was not asked for';
  if (agentSocket === undefined) return 'no guest agent socket is configured';
  return running ? undefined : 'the guest is not running';
}
