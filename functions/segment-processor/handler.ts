import { BatchProcessor, EventType, processPartialResponse } from '@aws-lambda-powertools/batch';
import { MetricUnit } from '@aws-lambda-powertools/metrics';
import pLimit from 'p-limit';
import { newLogger, newMetrics } from '../rim/observability.ts';
import { openOnce } from '../rim/open-vault.ts';
import { stagedKeysOf } from '../rim/staging-event.ts';
import { openPartProcessor, type PartOutcome } from './process-part.ts';

const logger = newLogger('segment-processor');
const opened = openOnce(process.env);
let working: ReturnType<typeof openWork> | undefined;

async function openWork() {
  const { vault, settings } = await opened();
  return {
    processor: openPartProcessor(vault, settings.EKKO_COMPRESSION_LEVEL, settings.EKKO_CHECK_PACKS),
    limit: pLimit(settings.EKKO_PARTS_AT_ONCE),
  };
}

/** A record of an SQS batch: the shape in which every event source is handed to the function. */
export interface StagedRecord {
  readonly messageId: string;
  /** An S3 notification. */
  readonly body: string;
}

/**
 * Processes the staged parts that a batch of notifications tells of. Answers in SQS's partial-batch form; when every record fails
 * it throws, with the causes. Safe to be called with the same part again, late, and out of order.
 */
export function handler(event: { readonly Records: readonly StagedRecord[] }): Promise<unknown> {
  const batch = { Records: [...event.Records] } as unknown as Parameters<typeof processPartialResponse>[0];
  return processPartialResponse(
    batch,
    (record: StagedRecord) => processRecord(record),
    new BatchProcessor(EventType.SQS),
  );
}

/** Opens the vault before the first part comes: for hosts that start a worker ahead of its work. */
export async function prepare(): Promise<void> {
  await work();
}

function work(): ReturnType<typeof openWork> {
  working ??= openWork().catch((error: unknown) => {
    working = undefined;
    throw error;
  });
  return working;
}

async function processRecord({ body }: StagedRecord): Promise<void> {
  const { processor, limit } = await work();
  const processed = stagedKeysOf(body).map((key) => limit(async () => report(key, await processor.process(key))));
  await Promise.all(processed);
}

function report(key: string, outcome: PartOutcome): void {
  if (outcome.kind !== 'processed') {
    logger.debug('Nothing to do', { key, outcome: outcome.kind });
    return;
  }
  const { dataSegments, newSegments, storedBytes } = outcome.receipt.stats;
  logger.info('Part processed', { key, dataSegments, newSegments, storedBytes });
  const metrics = newMetrics('segment-processor');
  metrics.addMetric('DataSegments', MetricUnit.Count, dataSegments);
  metrics.addMetric('NewSegments', MetricUnit.Count, newSegments);
  metrics.addMetric('StoredBytes', MetricUnit.Bytes, storedBytes);
  metrics.publishStoredMetrics();
}
