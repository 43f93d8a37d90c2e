import { Readable } from 'node:stream';
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { checkKey, checkPrefix } from './check-key.ts';
import { CONTENT_NAMED, contentName, nameOf } from './object-names.ts';
import type { ObjectStore } from './object-store.ts';
import { openS3Client } from './s3-client.ts';
import { openS3Connection, s3Name } from './s3-connection.ts';
import { failureOf, OddAnswer } from './s3-errors.ts';
import { listS3 } from './s3-listing.ts';
import { readS3 } from './s3-reading.ts';
import { openS3Removal } from './s3-removal.ts';
import { PATIENCE, type Patience } from './s3-retry.ts';
import { readS3Url, type S3Place } from './s3-url.ts';

/**
 * A store in a bucket of S3: of AWS, Ceph's RADOS Gateway, or another that creates an object only if it is absent (`If-None-Match`),
 * also of two requests at one moment; `ekko doctor` finds out. Throws `bad-input` (URL); nothing is sent yet.
 *
 * Whatever may pass is tried again. So `create` can say `exists` of an object that it made itself, when the answer of the first try
 * was lost: harmless where the content decides the name; the journal compares digests. An object is durable when S3 says that it
 * is there, with `durable: false` too.
 */
export async function openS3Store(
  url: string,
  environment: NodeJS.ProcessEnv = process.env,
  patience: Patience = PATIENCE,
): Promise<ObjectStore> {
  const place = readS3Url(url);
  const connection = openS3Connection(place, openS3Client(place, environment, patience), patience);
  const removal = openS3Removal(connection);
  return {
    url: place.url,

    async create(key, body) {
      checkKey(key);
      const digest = digestOf(key, body);
      return connection.send(`Cannot write ${s3Name(place, key)}`, (client) =>
        putOnce(client, putRequest(place, key, body, digest)),
      );
    },

    get: async (key, range) => readS3(connection, checkKey(key), range),

    async *list(prefix, { after = '' } = {}) {
      yield* listS3(connection, checkPrefix(prefix), after);
    },

    remove: async (keys) => removal.remove(keys.map(checkKey)),
  };
}

async function putOnce(client: S3Client, request: PutObjectCommand): Promise<'created' | 'exists'> {
  try {
    const { ETag } = await client.send(request);
    // Else a proxy's page would pass for an object that was stored.
    if (ETag === undefined) throw new OddAnswer('it answered without an ETag');
    return 'created';
  } catch (error) {
    const { code, status } = failureOf(error);
    if (status === 412 && code === 'PreconditionFailed') return 'exists';
    throw error;
  }
}

/** SHA-256 of the body in hex; the key tells it where the content decides the name. */
function digestOf(key: string, body: readonly Uint8Array[]): string {
  const told = CONTENT_NAMED.some((folder) => key.startsWith(folder)) ? nameOf(key) : undefined;
  return told ?? contentName(body);
}

/** The digest is signed with the request, and the store refuses a body that does not have it. */
function putRequest(place: S3Place, key: string, body: readonly Uint8Array[], digest: string): PutObjectCommand {
  const length = body.reduce((sum, piece) => sum + piece.length, 0);
  const request = new PutObjectCommand({
    Bucket: place.bucket,
    Key: place.prefix + key,
    // Pieces go out as they are; the SDK takes only whole buffers or streams.
    Body:
      length === 0
        ? ''
        : Readable.from(
            body.filter((piece) => piece.length > 0),
            { objectMode: false },
          ),
    ContentLength: length,
    IfNoneMatch: '*',
  });
  request.middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers['x-amz-content-sha256'] = digest;
      return next(args);
    },
    { step: 'build', name: 'bodyDigest' },
  );
  return request;
}
