import { Readable } from 'node:stream';
import { HeadObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import type { VaultLock } from '../words.ts';
import { CONTENT_NAMED, contentName, nameOf } from './object-names.ts';
import { type S3Connection, s3Name } from './s3-connection.ts';
import { failureOf, OddAnswer } from './s3-errors.ts';
import { S3_MODES } from './s3-retention.ts';

/** How an object is written. */
export interface S3Writing {
  readonly lock?: { readonly mode: VaultLock['mode']; readonly until: Date } | undefined;
  /** A new version, over one that is there. */
  readonly over?: boolean;
}

/** Creates the object if it is absent. Throws `store-failed`. */
export function writeS3(
  connection: S3Connection,
  key: string,
  body: readonly Uint8Array[],
  writing: S3Writing = {},
): Promise<'created' | 'exists'> {
  const digest = digestOf(key, body);
  return connection.send(`Cannot write ${s3Name(connection.place, key)}`, (client) =>
    putOnce(client, putRequest(connection, key, body, digest, writing)),
  );
}

/** Whether the newest version of the object can be read. Throws `store-failed`. */
export function isThere({ place, send }: S3Connection, key: string): Promise<boolean> {
  return send(`Cannot look for ${s3Name(place, key)}`, async (client) => {
    try {
      await client.send(new HeadObjectCommand({ Bucket: place.bucket, Key: place.prefix + key }));
      return true;
    } catch (error) {
      if (failureOf(error).status === 404) return false;
      throw error;
    }
  });
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
function putRequest(
  { place }: S3Connection,
  key: string,
  body: readonly Uint8Array[],
  digest: string,
  { lock, over = false }: S3Writing,
): PutObjectCommand {
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
    ...(over ? {} : { IfNoneMatch: '*' }),
    ...(lock === undefined ? {} : lockedBy(lock, digest)),
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

/** AWS takes a lock only with a checksum beside the signed one. */
function lockedBy({ mode, until }: NonNullable<S3Writing['lock']>, digest: string) {
  const ChecksumSHA256 = Buffer.from(digest, 'hex').toString('base64');
  return { ObjectLockMode: S3_MODES[mode], ObjectLockRetainUntilDate: until, ChecksumSHA256 };
}
