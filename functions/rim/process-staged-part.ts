import pRetry from 'p-retry';
import { codeOf, type ErrorCode } from '#vault/errors.ts';
import { stagedNotification } from './staging-event.ts';

/** Failures that another try can cure; those without a code are nobody's own. */
const PASSING: ReadonlySet<ErrorCode | undefined> = new Set<ErrorCode | undefined>([
  'store-failed',
  'function-failed',
  undefined,
]);
const RETRIES = 3;
const FIRST_PAUSE_MS = 100;

/** Has the segment-processor take one staged part, and tries again what may pass. Rejects with the last failure. */
export function processStagedPart(
  { invoke }: { invoke(name: string, event: unknown): Promise<unknown> },
  key: string,
): Promise<unknown> {
  const event = { Records: [{ messageId: key, body: stagedNotification(key) }] };
  return pRetry(() => invoke('segment-processor', event), {
    ...{ retries: RETRIES, minTimeout: FIRST_PAUSE_MS, factor: 4 },
    shouldRetry: ({ error }) => PASSING.has(codeOf(error)),
  });
}
