import { MetricUnit } from '@aws-lambda-powertools/metrics';
import { validate } from '@aws-lambda-powertools/validation';
import { EkkoError } from '#vault/errors.ts';
import { openStore } from '#vault/store/open-store.ts';
import { ajv } from '../rim/ajv.ts';
import { newLogger, newMetrics } from '../rim/observability.ts';
import { openOnce } from '../rim/open-vault.ts';
import { readVaultPlace } from '../rim/settings.ts';
import { chooseRandomShards, chooseShards } from './choose-shards.ts';
import { recordVerification } from './record-verification.ts';
import { cutShort, type VerifyReport } from './report.ts';
import { verifyVault } from './verify-vault.ts';

const logger = newLogger('verifier');
const opened = openOnce(process.env);

interface VerifyEvent {
  /** Share of the vault, the part that was looked at longest ago. */
  readonly percent: number;
  /** Only names are compared, as anybody can who has the store: the function then needs no key, and records nothing. */
  readonly keyless: boolean;
}

const SCHEMA = {
  $id: 'ekko/verify-request',
  type: 'object',
  properties: {
    percent: { type: 'number', exclusiveMinimum: 0, maximum: 100, default: 100 },
    keyless: { type: 'boolean', default: false },
  },
  additionalProperties: false,
};

/** So many findings fit into an answer; all are counted and, with the key, named in the journal. */
const MOST_ANSWERED = 1000;

/** Verifies the vault that the environment names, or a share of it; answers with the report, cut short. Throws an EkkoError whose code says why not. */
export async function handler(event: unknown): Promise<VerifyReport> {
  const { percent, keyless } = check(event);
  const report = await (keyless ? lookWithoutKey(percent) : lookAndRecord(percent));
  const { objects, bytes, damaged } = report;
  logger.info('Vault verified', { percent, keyless, objects, bytes, damaged });
  const metrics = newMetrics('verifier');
  metrics.addMetric('ObjectsVerified', MetricUnit.Count, objects);
  metrics.addMetric('ObjectsDamaged', MetricUnit.Count, damaged);
  metrics.publishStoredMetrics();
  return cutShort(report, MOST_ANSWERED);
}

async function lookWithoutKey(percent: number): Promise<VerifyReport> {
  const store = await openStore(readVaultPlace(process.env));
  const shards = chooseRandomShards(percent);
  return verifyVault({ store, keyring: undefined, journal: undefined, points: [], shards, threads: undefined });
}

async function lookAndRecord(percent: number): Promise<VerifyReport> {
  const { vault } = await opened();
  const state = await vault.journal.refresh();
  const shards = chooseShards(state, percent, true);
  const [points, expired] = [[...state.points.values()], [...state.expired.values()]];
  const { store, keyring, journal } = vault;
  const report = await verifyVault({ store, keyring, journal, points, expired, shards, threads: undefined });
  await recordVerification(vault, report, { shards, keyed: true }, new Date());
  return report;
}

function check(event: unknown): VerifyEvent {
  try {
    return validate<VerifyEvent>({ payload: event, schema: SCHEMA, ajv });
  } catch (cause) {
    throw new EkkoError('bad-input', 'A verification is asked for by {"percent": 5, "keyless": true}, both optional.', {
      cause,
    });
  }
}
