import pLimit from 'p-limit';
import type { FunctionPlace, VaultFunctions } from '../rim/vault-functions.ts';
import { bundlePath } from './bundles.ts';
import { openFunctionHost } from './function-host.ts';

/** One computes while another waits for the store. */
const CALLS_PER_WORKER = 2;

/**
 * Starts functions for one vault after another, each in threads of its own, which know no other vault's key. All together have `workers`
 * times two calls under way, however many vaults there are.
 */
export function openTenantFunctions(
  workers: number,
  log: (line: string) => void,
): (place: FunctionPlace) => VaultFunctions {
  const limit = pLimit(workers * CALLS_PER_WORKER);
  return ({ vault, environment, privateKey, journalFile }) => {
    const host = openFunctionHost({
      ...{ workers, callsPerWorker: CALLS_PER_WORKER, workerPath: bundlePath('function-worker'), privateKey, log },
      bundles: {
        'segment-processor': bundlePath('segment-processor'),
        'point-committer': bundlePath('point-committer'),
        retention: bundlePath('retention'),
        sweeper: bundlePath('sweeper'),
        replicator: bundlePath('replicator'),
        verifier: bundlePath('verifier'),
      },
      environment: {
        ...environment,
        ...{
          EKKO_VAULT: vault,
          EKKO_JOURNAL_FILE: journalFile,
          POWERTOOLS_LOG_LEVEL: 'ERROR',
          POWERTOOLS_METRICS_DISABLED: 'true',
        },
      },
    });
    const working = new Set<Promise<unknown>>();
    return {
      invoke(name, event) {
        const work = limit(() => host.invoke(name, event)).finally(() => working.delete(work));
        working.add(work);
        return work;
      },
      async close() {
        await Promise.allSettled(working);
        await host.close();
      },
    };
  };
}
