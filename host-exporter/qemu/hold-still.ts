import { EkkoError } from '#vault/errors.ts';
import { connectAgent, type GuestAgent } from './guest-agent.ts';
import { recordMustThaw, type ThawLimits, thawUntilThawed } from './must-thaw.ts';
import { startWatchdog } from './thaw-watchdog.ts';

export interface FreezeOptions {
  readonly agentSocket: string;
  readonly stateDirectory: string;
  /** Milliseconds for the freeze itself: the guest's hooks run within it. */
  readonly freezeMs: number;
  readonly thaw: ThawLimits;
  /** Milliseconds after which the watchdog thaws on its own. */
  readonly watchdogMs: number;
  readonly watchdogCommand?: readonly string[];
}

/** How the moment was held, and what it gave. */
export interface Stillness<T> {
  readonly result: T;
  readonly frozen: boolean;
  readonly note: string;
  readonly frozenMs: number;
}

/**
 * Freezes the guest, does `work`, thaws until thawed. A guest that cannot be frozen is thawed first (the freeze may still come), then
 * `work` is done all the same, unless `required`. Throws `qemu-failed` when it is required and fails, or when the guest stays frozen.
 */
export async function holdStill<T>(
  options: FreezeOptions,
  required: boolean,
  work: () => Promise<T>,
): Promise<Stillness<T>> {
  const attempt = await attemptFrozen(options, work);
  const { frozen, note, frozenMs } = attempt;
  if (required && !frozen) throw new EkkoError('qemu-failed', `${note}, and the policy requires it`);
  if (attempt.done) return { result: attempt.done.result, frozen, note, frozenMs };
  return { result: await work(), frozen, note, frozenMs: 0 };
}

interface Attempt<T> {
  readonly frozen: boolean;
  readonly note: string;
  readonly frozenMs: number;
  /** Undefined when the guest could not be frozen, and nothing was done. */
  readonly done?: { readonly result: T };
}

async function attemptFrozen<T>(options: FreezeOptions, work: () => Promise<T>): Promise<Attempt<T>> {
  let agent: GuestAgent;
  try {
    agent = await connectAgent(options.agentSocket, options.thaw.answerMs);
  } catch (error) {
    // No freeze was asked for yet, so there is nothing to thaw: most often no agent runs in the guest.
    return { ...notFrozen(error), frozenMs: 0 };
  }
  let began = performance.now();
  let release: (() => Promise<void>) | undefined;
  let attempt: Omit<Attempt<T>, 'frozenMs'>;
  try {
    release = await prepareThaw(options);
    began = performance.now();
    attempt = await workFrozen(agent, options, work);
  } finally {
    await agent.close();
    await release?.();
  }
  return { ...attempt, frozenMs: performance.now() - began };
}

function notFrozen(error: unknown): { readonly frozen: false; readonly note: string } {
  return { frozen: false, note: `The guest could not be frozen: ${error instanceof Error ? error.message : error}` };
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

async function workFrozen<T>(agent: GuestAgent, options: FreezeOptions, work: () => Promise<T>) {
  let count: number;
  try {
    count = await agent.freeze(options.freezeMs);
  } catch (error) {
    return notFrozen(error);
  }
  if (count === 0) return { frozen: false, note: 'The guest froze no file system' };
  return workAndJudge(agent, options.thaw.answerMs, count, work);
}

/** A guest may thaw by itself (Windows does after 10 s): it was still only if it is frozen afterwards. */
async function workAndJudge<T>(agent: GuestAgent, answerMs: number, count: number, work: () => Promise<T>) {
  const done = { result: await work() };
  const status = await agent.status(answerMs).catch(() => 'unknown');
  if (status === 'frozen') return { frozen: true, note: `${count} file systems frozen by the guest agent`, done };
  return { frozen: false, note: `The guest was not frozen any more at the end of the moment (${status})`, done };
}
