import { createHash } from 'node:crypto';
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  type DeleteObjectsCommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3';
import pLimit from 'p-limit';
import { type S3Connection, s3Name } from './s3-connection.ts';
import { failureOf, isPassing, OddAnswer, s3Failure } from './s3-errors.ts';

/** What S3 takes in one request. */
const KEYS_PER_REQUEST = 1000;
const REQUESTS_AT_ONCE = 4;
const SINGLE_AT_ONCE = 16;

/** Removes objects of one store, and remembers what the store can do. */
export interface S3Removal {
  /** Throws `store-failed` naming a key, when all others of its request have been tried too. */
  remove(keys: readonly string[]): Promise<void>;
}

/** By a thousand in a request; one by one where the store cannot do that. */
export function openS3Removal(connection: S3Connection): S3Removal {
  const { place } = connection;
  let inBulk = true;

  async function removeSome(keys: readonly string[]): Promise<void> {
    if (inBulk) inBulk = await removeInBulk(keys);
    if (!inBulk) await removeSingly(keys);
  }

  /** False when the store refuses such requests. What is left after a try is what the next one asks for. */
  async function removeInBulk(keys: readonly string[]): Promise<boolean> {
    let left = keys;
    const what = `Cannot remove ${s3Name(place, keys[0] ?? '')}${keys.length > 1 ? ` and ${keys.length - 1} more` : ''}`;
    return connection.send(what, async (client) => {
      const outcome = await askInBulk(client, connection, left);
      if (outcome === 'refused') return false;
      left = outcome.left;
      if (outcome.why !== undefined) throw outcome.why;
      return true;
    });
  }

  async function removeSingly(keys: readonly string[]): Promise<void> {
    const limit = pLimit(SINGLE_AT_ONCE);
    const results = await Promise.allSettled(keys.map((key) => limit(() => removeOne(key))));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }

  const removeOne = (key: string) =>
    connection.send(`Cannot remove ${s3Name(place, key)}`, async (client) => {
      const request = new DeleteObjectCommand({ Bucket: place.bucket, Key: place.prefix + key });
      const { $metadata } = await client.send(request);
      if ($metadata.httpStatusCode !== 204) throw new OddAnswer(`it answered ${$metadata.httpStatusCode}, not 204`);
    });

  return {
    async remove(keys) {
      const unique = [...new Set(keys)];
      const requests = Array.from({ length: Math.ceil(unique.length / KEYS_PER_REQUEST) }, (_, at) =>
        unique.slice(at * KEYS_PER_REQUEST, (at + 1) * KEYS_PER_REQUEST),
      );
      const limit = pLimit(REQUESTS_AT_ONCE);
      const results = await Promise.allSettled(requests.map((some) => limit(() => removeSome(some))));
      const failed = results.find((result) => result.status === 'rejected');
      if (failed) throw failed.reason;
    },
  };
}

interface Outcome {
  /** Keys that are worth another try, and why they are left. */
  readonly left: readonly string[];
  readonly why?: Error;
}

/** One request for up to 1,000 keys; `refused` when the store does not know such requests. Throws for a key that it will not remove. */
async function askInBulk(
  client: S3Client,
  connection: S3Connection,
  keys: readonly string[],
): Promise<Outcome | 'refused'> {
  try {
    const request = bulkRequest(
      connection,
      keys.map((key) => ({ key })),
    );
    return outcomeOf(await client.send(request), connection, keys);
  } catch (error) {
    if (refusesBulk(error)) return 'refused';
    throw error;
  }
}

/** The store must name each key: a proxy's page names none. */
function outcomeOf(answer: DeleteObjectsCommandOutput, { place }: S3Connection, keys: readonly string[]): Outcome {
  const failures = (answer.Errors ?? []).filter(({ Code }) => Code !== 'NoSuchKey').map(namedFailure);
  const lasting = failures.filter(({ error }) => !isPassing(error));
  const [first] = lasting;
  if (first !== undefined) {
    const more = lasting.length > 1 ? ` and ${lasting.length - 1} more` : '';
    throw s3Failure(first.error, `Cannot remove s3://${place.bucket}/${first.key}${more}`, place);
  }
  const removed = [...(answer.Deleted ?? []), ...(answer.Errors ?? [])].map(({ Key }) => Key);
  const gone = new Set(removed.filter((key) => !failures.some((failure) => failure.key === key)));
  const left = keys.filter((key) => !gone.has(place.prefix + key));
  if (left.length === 0) return { left };
  return { left, why: failures[0]?.error ?? new OddAnswer(`it did not say that ${left.length} of them are gone`) };
}

function namedFailure({ Key = '', Code = 'unknown' }: { Key?: string | undefined; Code?: string | undefined }) {
  const error = new Error(Code);
  error.name = Code;
  return { key: Key, error };
}

/** An object to remove, or one version of it. */
export interface BulkObject {
  readonly key: string;
  readonly id?: string;
}

const BULK_REFUSED: ReadonlySet<string> = new Set([
  'MissingContentMD5',
  'InvalidRequest',
  'InvalidDigest',
  'MalformedXML',
]);

export function refusesBulk(error: unknown): boolean {
  const { code, status } = failureOf(error);
  // Ceph 16 wants the right to remove objects for the bucket itself here, not for what is in it.
  if (status === 403 && code === 'AccessDenied') return true;
  return status === 405 || status === 501 || (status === 400 && BULK_REFUSED.has(code));
}

/** With the MD5 that older stores insist upon, instead of the checksum that they do not know. */
export function bulkRequest({ place }: S3Connection, objects: readonly BulkObject[]): DeleteObjectsCommand {
  const named = objects.map(({ key, id }) => ({
    Key: place.prefix + key,
    ...(id === undefined ? {} : { VersionId: id }),
  }));
  const request = new DeleteObjectsCommand({ Bucket: place.bucket, Delete: { Objects: named } });
  request.middlewareStack.add(
    (next) => (args) => {
      const sent = args.request as { headers: Record<string, string>; body: string | Uint8Array };
      for (const name of Object.keys(sent.headers)) {
        if (/^x-amz-(sdk-)?checksum-/i.test(name)) delete sent.headers[name];
      }
      sent.headers['content-md5'] = createHash('md5').update(sent.body).digest('base64');
      return next(args);
    },
    // After the SDK's own checksum, which is made in this step too.
    { step: 'build', priority: 'low', name: 'bulkMd5' },
  );
  return request;
}
