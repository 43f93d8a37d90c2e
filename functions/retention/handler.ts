import { MetricUnit } from '@aws-lambda-powertools/metrics';
import { validate } from '@aws-lambda-powertools/validation';
import { EkkoError } from '#vault/errors.ts';
import { ajv } from '../rim/ajv.ts';
import { newLogger, newMetrics } from '../rim/observability.ts';
import { openOnce } from '../rim/open-vault.ts';
import { applyRetention } from './apply-retention.ts';
import type { RetentionReport } from './retention-report.ts';

const logger = newLogger('retention');
const opened = openOnce(process.env);

interface RetentionEvent {
  readonly group?: string;
  readonly dryRun?: boolean;
}

const SCHEMA = {
  $id: 'ekko/retention-request',
  type: 'object',
  properties: { group: { type: 'string', minLength: 1, maxLength: 255 }, dryRun: { type: 'boolean' } },
  additionalProperties: false,
};

/**
 * Expires what no retention rule keeps, of one group or of all; answers with the report. It confirms nothing: what somebody has to
 * confirm is left for `ekko retention --apply --confirm`.
 */
export async function handler(event: unknown): Promise<RetentionReport> {
  const { group, dryRun = false } = check(event);
  const { vault } = await opened();
  const report = await applyRetention(vault, { group, dryRun, confirmed: false, now: new Date() });
  const expired = report.groups.reduce((sum, each) => sum + each.expired.length, 0);
  const stopped = report.groups.filter((each) => each.stopped !== undefined).map((each) => each.group);
  logger.info('Retention applied', { dryRun, expired, stopped });
  const metrics = newMetrics('retention');
  metrics.addMetric('PointsExpired', MetricUnit.Count, dryRun ? 0 : expired);
  metrics.addMetric('GroupsStopped', MetricUnit.Count, stopped.length);
  metrics.publishStoredMetrics();
  return report;
}

function check(event: unknown): RetentionEvent {
  try {
    return validate<RetentionEvent>({ payload: event, schema: SCHEMA, ajv });
  } catch (cause) {
    throw new EkkoError('bad-input', 'Retention is asked for by {"group": "<name>", "dryRun": true}, both optional.', {
      cause,
    });
  }
}
