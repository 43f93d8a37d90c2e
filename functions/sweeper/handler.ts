import { MetricUnit } from '@aws-lambda-powertools/metrics';
import { validate } from '@aws-lambda-powertools/validation';
import { EkkoError } from '#vault/errors.ts';
import { ajv } from '../rim/ajv.ts';
import { newLogger, newMetrics } from '../rim/observability.ts';
import { openOnce } from '../rim/open-vault.ts';
import { movePacks } from './move-packs.ts';
import type { MoveReport } from './move-report.ts';
import type { SweepReport } from './sweep-report.ts';
import { sweepVault } from './sweep-vault.ts';

const logger = newLogger('sweeper');
const opened = openOnce(process.env);

interface SweepEvent {
  readonly dryRun?: boolean;
  readonly graceHours?: number;
  /** Rewrite sparse packs first. */
  readonly compact?: boolean;
}

export interface SweeperAnswer {
  /** Undefined where nothing was to be compacted. */
  readonly compaction: MoveReport | undefined;
  readonly sweep: SweepReport;
}

const SCHEMA = {
  $id: 'ekko/sweep-request',
  type: 'object',
  properties: {
    dryRun: { type: 'boolean' },
    graceHours: { type: 'number', minimum: 0, maximum: 1_000_000 },
    compact: { type: 'boolean' },
  },
  additionalProperties: false,
};

/** Sweeps the vault, and compacts it before where that is asked for; answers with the reports. Throws an EkkoError whose code says why not. */
export async function handler(event: unknown): Promise<SweeperAnswer> {
  const { dryRun = false, compact = false, graceHours } = check(event);
  const { vault } = await opened();
  const now = new Date();
  const compaction = compact ? await movePacks(vault, { now, dryRun }) : undefined;
  const sweep = await sweepVault(vault, { now, dryRun, ...(graceHours === undefined ? {} : { graceHours }) });
  report(sweep, compaction);
  return { compaction, sweep };
}

function report(sweep: SweepReport, compaction: MoveReport | undefined): void {
  const tallies = Object.values(sweep.removed);
  const removed = tallies.reduce((sum, { objects }) => sum + objects, 0);
  const bytes = tallies.reduce((sum, tally) => sum + tally.bytes, 0);
  const { dryRun, points, waiting, locked, locks, problems } = sweep;
  logger.info('Vault swept', { dryRun, points: points.length, removed, bytes, waiting: waiting.objects });
  if (locks !== undefined) logger.info('Locks extended', { locked: locked.objects, ...locks });
  if (compaction !== undefined) logger.info('Packs moved', { ...compaction.moved });
  for (const problem of [...problems, ...(compaction?.problems ?? [])])
    logger.warn('Object cannot be read', { problem });
  const metrics = newMetrics('sweeper');
  metrics.addMetric('ObjectsRemoved', MetricUnit.Count, dryRun ? 0 : removed);
  metrics.addMetric('BytesRemoved', MetricUnit.Bytes, dryRun ? 0 : bytes);
  metrics.publishStoredMetrics();
}

function check(event: unknown): SweepEvent {
  try {
    return validate<SweepEvent>({ payload: event, schema: SCHEMA, ajv });
  } catch (cause) {
    const example = '{"dryRun": true, "graceHours": 168, "compact": true}';
    throw new EkkoError('bad-input', `A sweep is asked for by ${example}, all optional.`, { cause });
  }
}
