import { resolve } from 'node:path';
import type { SharedStaging } from '#vault/store/shared-staging.ts';
import { storeEnvironment } from '#vault/store/store-environment.ts';
import { bundlePath } from '../../host/bundles.ts';
import { type FunctionHost, openFunctionHost } from '../../host/function-host.ts';

export interface EmbeddedHost {
  /** URL of the vault, absolute. */
  readonly vault: string;
  readonly keyFile: string;
  readonly journalFile: string | undefined;
  readonly workers: number;
  /** zstd, 1-3. */
  readonly level: number;
  /** Where the exporter's parts lie. */
  readonly staging: SharedStaging;
  readonly log: ((line: string) => void) | undefined;
}

/** One computes while others wait for the store. */
const CALLS_PER_WORKER = 3;

/** Starts the functions in threads of this process. The first loads its code at once, while the exporter still plans. */
export function openEmbeddedHost(settings: EmbeddedHost): FunctionHost {
  const { vault, keyFile, journalFile, workers, level, staging, log } = settings;
  const host = openFunctionHost({
    workers,
    staging,
    callsPerWorker: CALLS_PER_WORKER,
    workerPath: bundlePath('function-worker'),
    bundles: {
      'segment-processor': bundlePath('segment-processor'),
      'point-committer': bundlePath('point-committer'),
    },
    environment: {
      ...storeEnvironment(process.env),
      EKKO_VAULT: vault,
      EKKO_KEY_FILE: resolve(keyFile),
      ...(journalFile === undefined ? {} : { EKKO_JOURNAL_FILE: resolve(journalFile) }),
      EKKO_COMPRESSION_LEVEL: String(level),
      EKKO_CHECK_PACKS: process.env['EKKO_CHECK_PACKS'] || 'false',
      POWERTOOLS_LOG_LEVEL: log === undefined ? 'ERROR' : 'INFO',
      POWERTOOLS_METRICS_DISABLED: 'true',
    },
    ...(log === undefined ? {} : { log }),
  });
  host.start(1);
  return host;
}
