import { MetricUnit } from '@aws-lambda-powertools/metrics';
import { validate } from '@aws-lambda-powertools/validation';
import type { EarlierCopy } from '#vault/copies/earlier-copies.ts';
import { EkkoError } from '#vault/errors.ts';
import { decodeTicket } from '#vault/export-ticket.ts';
import { openTemporaryUrlStore } from '#vault/staging/temporary-url-store.ts';
import { openExchange } from '#vault/store/swift/http-exchange.ts';
import { PATIENCE } from '#vault/store/swift/patience.ts';
import { ajv } from '../rim/ajv.ts';
import { newLogger, newMetrics } from '../rim/observability.ts';
import { openOnce } from '../rim/open-vault.ts';
import { stageCopy } from './stage-copy.ts';

const logger = newLogger('replicator');
const opened = openOnce(process.env);
const exchange = openExchange(PATIENCE, process.env);

interface CopyEvent {
  readonly point: string;
  readonly disk: string;
  /** As `encodeTicket` gives it. Secret. */
  readonly ticket: unknown;
  readonly earlier?: EarlierCopy;
}

const text = { type: 'string', minLength: 1, maxLength: 255 } as const;
const SCHEMA = {
  $id: 'ekko/copy-request',
  type: 'object',
  required: ['point', 'disk', 'ticket'],
  properties: {
    ...{ point: text, disk: text, ticket: { type: 'object' } },
    earlier: {
      type: 'object',
      required: ['point', 'manifest'],
      properties: { point: text, manifest: text },
      additionalProperties: false,
    },
  },
  additionalProperties: false,
};

/**
 * Stages a disk of a restore point of the vault that the environment names for a run of another vault: the other vault's functions do the rest.
 * Answers with the bytes of disk that were read. Throws an EkkoError whose code says why not.
 */
export async function handler(event: unknown): Promise<{ readonly bytesRead: number }> {
  const { point, disk, ticket: given, earlier } = check(event);
  const ticket = decodeTicket(given, 'The ticket of the copy');
  const { vault } = await opened();
  await vault.journal.refresh();
  const staging = openTemporaryUrlStore({ exchange, patience: PATIENCE }, () => ticket.upload);
  const bytesRead = await stageCopy(vault, { point, disk, ticket, earlier, staging });
  logger.info('Disk of a point staged for another vault', { point, disk, run: ticket.run, bytesRead });
  const metrics = newMetrics('replicator');
  metrics.addMetric('BytesCopied', MetricUnit.Bytes, bytesRead);
  metrics.publishStoredMetrics();
  return { bytesRead };
}

function check(event: unknown): CopyEvent {
  try {
    return validate<CopyEvent>({ payload: event, schema: SCHEMA, ajv });
  } catch (cause) {
    throw new EkkoError('bad-input', 'A copy is asked for by {"point", "disk", "ticket", "earlier"}.', { cause });
  }
}
