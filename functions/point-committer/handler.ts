import { MetricUnit } from '@aws-lambda-powertools/metrics';
import { validate } from '@aws-lambda-powertools/validation';
import { EkkoError } from '#vault/errors.ts';
import type { RestorePoint } from '#vault/format/point.ts';
import { ajv } from '../rim/ajv.ts';
import { newLogger, newMetrics } from '../rim/observability.ts';
import { openOnce } from '../rim/open-vault.ts';
import { commitRun, type LeftOut } from './commit-run.ts';

const logger = newLogger('point-committer');
const opened = openOnce(process.env);

const SCHEMA = {
  $id: 'ekko/commit-request',
  type: 'object',
  required: ['run'],
  properties: {
    run: { type: 'string', maxLength: 64 },
    without: { type: 'array', maxItems: 1024, items: { type: 'integer', minimum: 0 }, default: [] },
    missing: { type: 'array', maxItems: 1024, items: { type: 'string', minLength: 1, maxLength: 255 }, default: [] },
    topology: { type: 'boolean', default: false },
  },
  additionalProperties: false,
};

/** Commits a run; answers with the restore point, but for its topology, which may hold secrets and goes through no workflow. Throws an EkkoError whose code says why it cannot. */
export async function handler(event: unknown): Promise<RestorePoint> {
  const { run, ...leftOut } = check(event);
  const { vault } = await opened();
  const { topology: _secret, ...point } = await commitRun(vault, run, new Date(), leftOut);
  logger.info('Point committed', { point: point.id, disks: point.disks.length });
  const metrics = newMetrics('point-committer');
  metrics.addMetric('PointsCommitted', MetricUnit.Count, 1);
  metrics.publishStoredMetrics();
  return point;
}

/** Opens the vault before there is a run to commit: for hosts that start a worker ahead of its work. */
export async function prepare(): Promise<void> {
  await opened();
}

interface CommitEvent extends LeftOut {
  readonly run: string;
}

function check(event: unknown): CommitEvent {
  try {
    return validate<CommitEvent>({ payload: event, schema: SCHEMA, ajv });
  } catch (cause) {
    throw new EkkoError('bad-input', 'A commit is asked for by {"run": "<run id>"}.', { cause });
  }
}
