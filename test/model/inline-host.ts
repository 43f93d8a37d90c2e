import type { Vault } from '#vault/vault.ts';
import type { FunctionHost } from '../../functions/host/function-host.ts';
import { commitRun } from '../../functions/point-committer/commit-run.ts';
import { stagedKeysOf } from '../../functions/rim/staging-event.ts';
import { openPartProcessor } from '../../functions/segment-processor/process-part.ts';

/** How events reach the functions. */
export interface Delivery {
  /** The event never arrives: the listing has to find the part. */
  readonly lose: (key: string) => boolean;
  /** How often the event arrives, one delivery behind and beside the other. */
  readonly times: (key: string) => number;
  /** Arrives after later ones. */
  readonly late: (key: string) => boolean;
}

export const PROMPT: Delivery = { lose: () => false, times: () => 1, late: () => false };

/** A function host that calls the plain functions in this thread, over any store, with events as faulty as real ones. */
export function openInlineHost(vault: Vault, delivery: Delivery = PROMPT): FunctionHost {
  const processor = openPartProcessor(vault, 1);
  const seen = new Set<string>();

  const deliver = async (key: string) => {
    const first = !seen.has(key);
    seen.add(key);
    if (first && delivery.lose(key)) return;
    if (first && delivery.late(key)) await new Promise((resolve) => setImmediate(resolve));
    const times = first ? delivery.times(key) : 1;
    const outcomes = await Promise.allSettled(Array.from({ length: times }, () => processor.process(key)));
    // A repeat that raced may find the part gone and its receipt there; one of them has to have succeeded.
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed && outcomes.every((outcome) => outcome.status === 'rejected')) throw failed.reason;
  };

  return {
    async invoke(name, event) {
      if (name === 'point-committer') {
        const { run, topology = false } = event as { run: string; topology?: boolean };
        return commitRun(vault, run, new Date(), { without: [], missing: [], topology });
      }
      const { Records } = event as { Records: { body: string }[] };
      for (const { body } of Records) for (const key of stagedKeysOf(body)) await deliver(key);
      return undefined;
    },
    start: () => undefined,
    close: async () => undefined,
  };
}
