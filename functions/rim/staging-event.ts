import { validate } from '@aws-lambda-powertools/validation';
import { EkkoError } from '#vault/errors.ts';
import { Folder } from '#vault/store/object-names.ts';
import { ajv } from './ajv.ts';

/** An S3 bucket notification as AWS and Ceph RGW write it, as far as it is of use here. */
interface S3Notification {
  readonly Records: readonly {
    readonly eventSource?: string;
    readonly s3: { readonly object: { readonly key: string } };
  }[];
}

const SCHEMA = {
  $id: 'ekko/s3-notification',
  type: 'object',
  required: ['Records'],
  properties: {
    Records: {
      type: 'array',
      maxItems: 1000,
      items: {
        type: 'object',
        required: ['s3'],
        properties: {
          eventSource: { type: 'string', maxLength: 100 },
          s3: {
            type: 'object',
            required: ['object'],
            properties: {
              object: { type: 'object', required: ['key'], properties: { key: { type: 'string', maxLength: 1024 } } },
            },
          },
        },
      },
    },
  },
};

/**
 * Keys of staged parts that an S3 notification tells of; keys of other folders are left out. A test event of AWS gives none.
 * AWS writes keys form-encoded, Ceph raw; keys of ours read the same either way. Throws `bad-input`.
 */
export function stagedKeysOf(body: string): string[] {
  const event: unknown = parse(body);
  if (isTestEvent(event)) return [];
  const { Records } = check(event);
  const keys = Records.map(({ eventSource, s3 }) =>
    eventSource === 'aws:s3' ? formDecoded(s3.object.key) : s3.object.key,
  );
  return keys.filter((key) => key.startsWith(Folder.staging));
}

/** The notification that tells of one staged part: the exporter's own notice. */
export function stagedNotification(key: string): string {
  const notification: S3Notification = { Records: [{ eventSource: 'ekko:exporter', s3: { object: { key } } }] };
  return JSON.stringify(notification);
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new EkkoError('bad-input', 'The event is not JSON.', { cause });
  }
}

function check(event: unknown): S3Notification {
  try {
    return validate<S3Notification>({ payload: event, schema: SCHEMA, ajv });
  } catch (cause) {
    throw new EkkoError('bad-input', 'The event is no S3 notification.', { cause });
  }
}

function isTestEvent(event: unknown): boolean {
  return typeof event === 'object' && event !== null && 'Event' in event && event.Event === 's3:TestEvent';
}

function formDecoded(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch (cause) {
    throw new EkkoError('bad-input', `The event's key ${JSON.stringify(key.slice(0, 80))} is not form-encoded.`, {
      cause,
    });
  }
}
