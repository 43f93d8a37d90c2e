import { Readable } from 'node:stream';
import { GetObjectCommand, type GetObjectCommandOutput, type S3Client } from '@aws-sdk/client-s3';
import { EkkoError } from '../errors.ts';
import { clipRange } from './byte-range.ts';
import type { ByteRange } from './object-store.ts';
import { type S3Connection, s3Name } from './s3-connection.ts';
import { failureOf, OddAnswer } from './s3-errors.ts';

/** Objects are bounded at about 70 MiB; one beyond this is none of ours, and must not make us allocate its size. */
const LARGEST_OBJECT = 1024 ** 3;

export interface S3Read {
  readonly bytes: Buffer;
  /** Of the version that was read; undefined where the bucket keeps none. */
  readonly version: string | undefined;
}

/**
 * The object's bytes, or those of the range; of its newest version, or of the one given. Throws `object-missing`, `store-failed`,
 * `damaged` (too large for an object), `bad-input`.
 */
export async function readS3(
  connection: S3Connection,
  key: string,
  range: ByteRange | undefined,
  version?: string,
): Promise<S3Read> {
  const wanted = range && clipRange(range, Number.MAX_SAFE_INTEGER);
  const name = s3Name(connection.place, key);
  return connection.send(`Cannot read ${name}`, async (client) => {
    const answer = await ask(client, connection, { key, version }, wanted);
    if (answer === undefined) return { bytes: Buffer.alloc(0), version };
    return { bytes: await bytesOf(answer, wanted, name), version: answer.VersionId };
  });
}

/** Undefined when nothing of the object lies in the range. */
async function ask(
  client: S3Client,
  { place }: S3Connection,
  { key, version }: { readonly key: string; readonly version: string | undefined },
  wanted: ByteRange | undefined,
): Promise<GetObjectCommandOutput | undefined> {
  const request = {
    Bucket: place.bucket,
    Key: place.prefix + key,
    ...(wanted ? { Range: headerOf(wanted) } : {}),
    ...(version === undefined ? {} : { VersionId: version }),
  };
  try {
    return await client.send(new GetObjectCommand(request));
  } catch (error) {
    const { code, status } = failureOf(error);
    if (status === 416 && wanted !== undefined) return undefined;
    // A 404 without this code may come from anything between here and the store.
    if (code !== 'NoSuchKey' && code !== 'NoSuchVersion') throw error;
    throw new EkkoError('object-missing', `${s3Name(place, key)} is missing.`);
  }
}

/** Of a range of no bytes one is asked for: whether the object is there must be known. */
function headerOf({ start, end }: ByteRange): string {
  return `bytes=${start}-${Math.max(start, end - 1)}`;
}

async function bytesOf(answer: GetObjectCommandOutput, wanted: ByteRange | undefined, name: string): Promise<Buffer> {
  const { Body: body, ContentLength: length } = answer;
  if (!(body instanceof Readable)) throw new OddAnswer('it answered without a body');
  try {
    const first = wanted === undefined ? 0 : firstByteOf(answer, wanted);
    if (length === undefined) throw new OddAnswer('it answered without a length');
    if (length > LARGEST_OBJECT)
      throw new EkkoError('damaged', `${name} is ${length} bytes long, which no object is. Verify the vault.`);
    const bytes = await readWhole(body, length);
    if (wanted === undefined) return bytes;
    return bytes.subarray(Math.min(wanted.start - first, length), Math.min(wanted.end - first, length));
  } catch (error) {
    body.destroy();
    throw error;
  }
}

/** Where in the object the answer begins: a store may send all of it instead of a range. What it sends must reach far enough. */
function firstByteOf({ ContentRange, ContentLength, $metadata }: GetObjectCommandOutput, wanted: ByteRange): number {
  if ($metadata.httpStatusCode === 200) return 0;
  const [, first, last, size] = (/^bytes (\d+)-(\d+)\/(\d+)$/.exec(ContentRange ?? '') ?? []).map(Number);
  if (first === undefined || last === undefined || size === undefined)
    throw new OddAnswer('it answered with a part of the object without saying which');
  const needed = Math.min(Math.max(wanted.end, wanted.start + 1), size) - 1;
  if (first !== wanted.start || last !== needed || last - first + 1 !== ContentLength)
    throw new OddAnswer(
      `it answered with bytes ${first} to ${last} of ${size} instead of ${wanted.start} to ${needed}`,
    );
  return first;
}

/** By events: waiting for each of thousands of pieces costs a tenth more CPU time. */
function readWhole(body: Readable, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let at = 0;
  return new Promise((resolve, reject) => {
    body.on('data', (piece: Buffer) => {
      if (at + piece.length > length) body.destroy(new OddAnswer('it sent more bytes than it said'));
      else at += piece.copy(bytes, at);
    });
    body.once('error', reject);
    body.once('end', () => (at < length ? reject(new OddAnswer(`it sent ${at} of ${length} bytes`)) : resolve(bytes)));
    body.once('close', () => reject(new OddAnswer(`it broke off after ${at} of ${length} bytes`)));
  });
}
