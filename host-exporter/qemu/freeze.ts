import { rm } from 'node:fs/promises';
import { EkkoError } from '#vault/errors.ts';
import { openAgent } from '../libvirt/open-agent.ts';
import type { GuestAgent } from './guest-agent.ts';
import { recordMustThaw, type ThawLimits, thawRecordPath, thawUntilThawed } from './must-thaw.ts';
import { startWatchdog, type Watchdog } from './thaw-watchdog.ts';

export interface FreezeOptions {
  /** Path of the agent's socket, or `libvirtAgentAddress`. */
  readonly agentSocket: string;
  readonly stateDirectory: string;
  /** Milliseconds for the freeze itself: the guest's hooks run within it. */
  readonly freezeMs: number;
  readonly thaw: ThawLimits;
  /** Milliseconds after the freeze was asked for, after which the watchdog thaws on its own. */
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
  /** Thaws; resolves when the guest has answered. Idempotent. Throws `qemu-failed` when the guest stays frozen; the watchdog then tries on. */
  thaw(): Promise<FreezeResult>;
  /** After `thaw`: resolves when the guest is known to be thawed, and nobody guards it any more. Throws as `thaw` does. */
  settled(): Promise<void>;
}

/** A guest that is about to be frozen: nothing of it is felt in the guest. */
export interface PreparedFreeze {
  /** Once. A guest that cannot be frozen is thawed at once, for the freeze may still come. Throws when that guest stays frozen. */
  freeze(): Promise<Freeze>;
  /** In place of the freeze. */
  cancel(): Promise<void>;
}

/**
 * Asks whether the guest can be frozen, and starts the watchdog: what takes long is done before any guest of a group stands still. Where
 * nobody answers, the freeze says so without asking again.
 */
export async function prepareFreeze(options: FreezeOptions): Promise<PreparedFreeze> {
  const { agentSocket, stateDirectory, watchdogMs: deadlineMs, watchdogCommand: command } = options;
  const agent = await openIdleAgent(options);
  // No freeze was asked for yet, so there is nothing to thaw: most often no agent runs in the guest.
  if ('obstacle' in agent) return noFreeze(whyNotFrozen(agent.obstacle));
  const record = thawRecordPath(stateDirectory, agentSocket);
  try {
    const watchdog = await startWatchdog({ agentSocket, record, deadlineMs, ...(command ? { command } : {}) });
    return {
      freeze: () => freezeGuest(agent, watchdog, options),
      async cancel() {
        watchdog.dismiss();
        await agent.close();
      },
    };
  } catch (error) {
    await agent.close();
    throw error;
  }
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

/** Not before there are a record and a watchdog. */
async function freezeGuest(agent: GuestAgent, watchdog: Watchdog, options: FreezeOptions): Promise<Freeze> {
  const { agentSocket, stateDirectory, freezeMs, thaw } = options;
  const record = thawRecordPath(stateDirectory, agentSocket);
  const nothingToThaw = async () => {
    await rm(record, { force: true });
    watchdog.dismiss();
  };
  try {
    await recordMustThaw(stateDirectory, agentSocket);
    watchdog.arm();
  } catch (error) {
    await agent.close();
    await nothingToThaw();
    throw error;
  }
  const release = async () => {
    try {
      await thawUntilThawed(agentSocket, record, thaw);
      watchdog.dismiss();
    } catch (error) {
      watchdog.handOver();
      throw error;
    }
  };
  const began = performance.now();
  let found: unknown = 'it froze no file system';
  try {
    const count = await agent.freeze(freezeMs);
    if (count > 0) return frozenGuest(agent, thaw, { count, began, release });
  } catch (error) {
    found = error;
  }
  await agent.close();
  await (isRefused(found) ? nothingToThaw() : release());
  return unfrozen(whyNotFrozen(found), performance.now() - began);
}

/** Nothing was frozen by us: the agent may not, or somebody else has, whose freeze is not ours to end (qemu-ga's own words). */
function isRefused(found: unknown): boolean {
  return found instanceof Error && found.message.includes('guest-fsfreeze-freeze has been disabled');
}

function whyNotFrozen(found: unknown): string {
  return `The guest could not be frozen: ${found instanceof Error ? found.message : found}`;
}

/** Of a guest that is left alone; `note` says why, in words for people. */
export function noFreeze(note: string): PreparedFreeze {
  return { freeze: async () => unfrozen(note, 0), cancel: async () => undefined };
}

function unfrozen(note: string, frozenMs: number): Freeze {
  const result = { frozen: false, note, frozenMs };
  return { frozen: false, note, thaw: async () => result, settled: async () => undefined };
}

function frozenGuest(
  agent: GuestAgent,
  { answerMs }: ThawLimits,
  { count, began, release }: { count: number; began: number; release: () => Promise<void> },
): Freeze {
  const note = `${count} file systems frozen by the guest agent`;
  let thawing: Promise<FreezeResult> | undefined;
  let releasing: Promise<void> | undefined;

  async function thawNow(): Promise<FreezeResult> {
    // A guest may thaw by itself (Windows does after 10 s): it was still only if there was something left to thaw.
    const thawed = await agent.thaw(answerMs).catch(() => undefined);
    const answeredMs = performance.now() - began;
    await agent.close();
    // Whatever it answered: until it says that it is thawed.
    releasing = release();
    releasing.catch(() => undefined);
    if (thawed !== undefined && thawed > 0) return { frozen: true, note, frozenMs: answeredMs };
    await releasing;
    const found = thawed === undefined ? 'it did not answer the thaw' : 'there was nothing left to thaw';
    const why = `The guest was not frozen any more at the end of the moment, or nobody knows: ${found}`;
    return { frozen: false, note: why, frozenMs: performance.now() - began };
  }

  const thaw = () => (thawing ??= thawNow());
  return {
    ...{ frozen: true, note, thaw },
    async settled() {
      await thaw();
      await releasing;
    },
  };
}

/** The error of a guest that was not still where it has to be. */
export function notStill(note: string): EkkoError {
  return new EkkoError('qemu-failed', `${note}, and the policy requires it`);
}
