import { type BundleName, bundlePath } from '../../../functions/host/bundles.ts';
import { type FunctionHost, openFunctionHost } from '../../../functions/host/function-host.ts';

/** Runs the bundle of one function, one call at a time; of the environment it sees what is given, and logs errors alone. */
export function openOneFunction(name: BundleName, environment: Readonly<Record<string, string>>): FunctionHost {
  return openFunctionHost({
    ...{ workers: 1, callsPerWorker: 1, workerPath: bundlePath('function-worker') },
    bundles: { [name]: bundlePath(name) },
    environment: { POWERTOOLS_LOG_LEVEL: 'ERROR', POWERTOOLS_METRICS_DISABLED: 'true', ...environment },
  });
}
