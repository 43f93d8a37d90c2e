import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import type { Patience } from './s3-retry.ts';
import type { S3Place } from './s3-url.ts';

/** More requests at once wait for a free connection. */
const SOCKETS = 128;
/** What stores that are not AWS answer to; they care for the signature only. */
const ANY_REGION = 'us-east-1';
const nothing = () => undefined;
/** The SDK writes to the console otherwise. */
const SILENT = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };

/** The one place where a client of S3 is made. Nothing is sent yet; credentials are looked for at the first request. */
export function openS3Client(place: S3Place, environment: NodeJS.ProcessEnv, patience: Patience): S3Client {
  const { endpoint, pathStyle } = place;
  const agent = { keepAlive: true, maxSockets: SOCKETS };
  return new S3Client({
    ...(endpoint === undefined ? {} : { endpoint }),
    forcePathStyle: pathStyle,
    ...regionOf(place, environment),
    ...credentialsOf(environment),
    // By its defaults the SDK sends bodies in a framing of AWS's own, which other stores refuse, or keep as part of the object.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // It would make a new connection for each large body.
    expectContinueHeader: false,
    // `s3-retry.ts` tries again: the SDK does so neither for streams nor for answers that break off.
    maxAttempts: 1,
    logger: SILENT,
    requestHandler: {
      httpAgent: agent,
      httpsAgent: agent,
      connectionTimeout: patience.connectMs,
      socketTimeout: patience.silenceMs,
      logger: SILENT,
    },
  });
}

/** Of the URL, else of the environment or `~/.aws`; only a store that is not AWS can do without. */
function regionOf({ region, endpoint }: S3Place, environment: NodeJS.ProcessEnv): Pick<S3ClientConfig, 'region'> {
  const named = region ?? (environment['AWS_REGION'] || environment['AWS_DEFAULT_REGION'] || undefined);
  if (named !== undefined) return { region: named };
  return endpoint === undefined ? {} : { region: ANY_REGION };
}

/** Those of the given environment; else the SDK looks where every AWS tool does: the process's own, `~/.aws`, the machine's role. */
function credentialsOf(environment: NodeJS.ProcessEnv): Pick<S3ClientConfig, 'credentials'> {
  const {
    AWS_PROFILE,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
  } = environment;
  if (AWS_PROFILE || !accessKeyId || !secretAccessKey) return {};
  return { credentials: { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) } };
}
