import { EkkoError } from '#vault/errors.ts';
import { openAgent } from '../libvirt/open-agent.ts';
import type { GuestAgent } from './guest-agent.ts';
import { recordMustThaw, type ThawLimits, thawUntilThawed } from './must-thaw.ts';
import { startWatchdog } from './thaw-watchdog.ts';

export interface FreezeOptions {
  /** Path of the agent's socket, or `libvirtAgentAddress`. */
  readonly agentSocket: string;
  readonly stateDirectory: string;
  /** Milliseconds for the freeze itself: the guest's hooks run within it. */
  readonly freezeMs: number;
  readonly thaw: ThawLimits;
  /** Milliseconds after which the watchdog thaws on its own. */
  readonly watchdogMs: number;
  readonly watchdogCommand?: readonly string[];
}

/** What a freeze came to in the end. */
export interface FreezeResult {
  /** True where file systems were frozen, and still were when the thaw began. */
  readonly frozen: boolean;
  readonly note: string;
  readonly frozenMs: number;
}

/** A guest between freeze and thaw. */
export interface Freeze {
  /** False: the guest could not be frozen, and is thawed. */
  readonly frozen: boolean;
  readonly note: string;
  /** Thaws until thawed; idempotent. Throws `qemu-failed` when the guest stays frozen; the watchdog then tries on. */
  thaw(): Promise<FreezeResult>;
}

/** Freezes the guest. One that cannot be frozen is thawed at once, for the freeze may still come. Throws when that guest stays frozen. */
export async function freezeGuest(options: FreezeOptions): Promise<Freeze> {
  const agent = await openIdleAgent(options);
  // No freeze was asked for yet, so there is nothing to thaw: most often no agent runs in the guest.
  if ('obstacle' in agent) return notFrozen(agent.obstacle, 0);
  let release: (() => Promise<void>) | undefined;
  let began = performance.now();
  try {
    release = await prepareThaw(options);
    began = performance.now();
    const count = await agent.freeze(options.freezeMs);
    if (count > 0) return frozenGuest(agent, options, { count, began, release });
  } catch (error) {
    await agent.close();
    await release?.();
    // Without a record and a watchdog no freeze is asked for.
    if (release === undefined) throw error;
    return notFrozen(error, performance.now() - began);
  }
  await agent.close();
  await release();
  return notFrozen('it froze no file system', performance.now() - began);
}

async function openIdleAgent({
  agentSocket,
  thaw,
}: FreezeOptions): Promise<GuestAgent | { readonly obstacle: unknown }> {
  try {
    const agent = await openAgent(agentSocket, thaw.answerMs);
    if ((await agent.status(thaw.answerMs)) === 'thawed') return agent;
    await agent.close();
    return { obstacle: 'somebody else has frozen it already' };
  } catch (obstacle) {
    return { obstacle };
  }
}

function notFrozen(found: unknown, frozenMs: number): Freeze {
  const note = `The guest could not be frozen: ${found instanceof Error ? found.message : found}`;
  return { frozen: false, note, thaw: async () => ({ frozen: false, note, frozenMs }) };
}

function frozenGuest(
  agent: GuestAgent,
  options: FreezeOptions,
  { count, began, release }: { count: number; began: number; release: () => Promise<void> },
): Freeze {
  const note = `${count} file systems frozen by the guest agent`;
  let thawing: Promise<FreezeResult> | undefined;

  async function thawNow(): Promise<FreezeResult> {
    // A guest may thaw by itself (Windows does after 10 s): it was still only if there was something left to thaw.
    const thawed = await agent.thaw(options.thaw.answerMs).catch(() => undefined);
    const answeredMs = performance.now() - began;
    await agent.close();
    // Whatever it answered: until it says that it is thawed.
    await release();
    if (thawed !== undefined && thawed > 0) return { frozen: true, note, frozenMs: answeredMs };
    const found = thawed === undefined ? 'it did not answer the thaw' : 'there was nothing left to thaw';
    const why = `The guest was not frozen any more at the end of the moment, or nobody knows: ${found}`;
    return { frozen: false, note: why, frozenMs: performance.now() - began };
  }

  return { frozen: true, note, thaw: () => (thawing ??= thawNow()) };
}

/** Record and watchdog, before the freeze; the function returned ends both once the guest is thawed. */
async function prepareThaw(options: FreezeOptions): Promise<() => Promise<void>> {
  const { agentSocket, stateDirectory, watchdogMs: deadlineMs, watchdogCommand: command } = options;
  const record = await recordMustThaw(stateDirectory, agentSocket);
  const watchdog = await startWatchdog({ agentSocket, record, deadlineMs, ...(command ? { command } : {}) });
  return async () => {
    try {
      await thawUntilThawed(agentSocket, record, options.thaw);
      watchdog.dismiss();
    } catch (error) {
      watchdog.handOver();
      throw error;
    }
  };
}

/** The error of a guest that was not still where it has to be. */
export function notStill(note: string): EkkoError {
  return new EkkoError('qemu-failed', `${note}, and the policy requires it`);
}
