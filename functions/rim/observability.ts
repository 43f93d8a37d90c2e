import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics } from '@aws-lambda-powertools/metrics';

/** Structured log lines on standard output, at the level that POWERTOOLS_LOG_LEVEL names. Never given a key, a token or data. */
export function newLogger(serviceName: string): Logger {
  return new Logger({ serviceName });
}

/** Counters in CloudWatch's embedded format, published by each invocation. */
export function newMetrics(serviceName: string): Metrics {
  return new Metrics({ namespace: 'Ekko', serviceName });
}
