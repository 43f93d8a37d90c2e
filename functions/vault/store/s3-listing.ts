import { ListObjectsV2Command, type ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import { EkkoError } from '../errors.ts';
import { isKey } from './check-key.ts';
import type { StoredObject } from './object-store.ts';
import type { S3Connection } from './s3-connection.ts';

/** A store may send pages without a key while it steps over what was removed; more than this in a row is no listing. */
const EMPTY_PAGES = 100;

/**
 * The objects below `prefix`, a folder of the vault, after `after`: one page of the store's listing (1,000 keys) at a time. Leaves
 * out what no key can name. A listing that is out of order, repeats or does not end is no listing: throws `store-failed`.
 */
export async function* listS3(connection: S3Connection, prefix: string, after: string): AsyncGenerator<StoredObject> {
  const { place } = connection;
  const wanted = place.prefix + prefix;
  let last: Buffer = Buffer.from(after === '' ? '' : place.prefix + after);
  let token: string | undefined;
  for (let emptyPages = 0; emptyPages < EMPTY_PAGES; ) {
    const page = await readPage(connection, wanted, token === undefined ? last.toString() : undefined, token);
    for (const object of page.objects) {
      last = checkOrder(last, object.key, wanted, connection);
      const key = object.key.slice(place.prefix.length);
      if (isKey(key)) yield { key, size: object.size };
    }
    if (page.next === undefined) return;
    if (page.next === token) break;
    emptyPages = page.objects.length === 0 ? emptyPages + 1 : 0;
    token = page.next;
  }
  throw broken(connection, wanted, 'it does not go on, and does not end');
}

interface Page {
  readonly objects: readonly StoredObject[];
  readonly next: string | undefined;
}

async function readPage(
  connection: S3Connection,
  wanted: string,
  after: string | undefined,
  token: string | undefined,
): Promise<Page> {
  const { place, send } = connection;
  const request = {
    Bucket: place.bucket,
    Prefix: wanted,
    ...(after ? { StartAfter: after } : {}),
    ...(token === undefined ? {} : { ContinuationToken: token }),
  };
  const answer = await send(`Cannot list s3://${place.bucket}/${wanted}`, (client) =>
    client.send(new ListObjectsV2Command(request)),
  );
  return pageOf(connection, wanted, answer);
}

/** Of a page of HTML with status 200 the SDK makes a listing without anything. */
function pageOf(connection: S3Connection, wanted: string, answer: ListObjectsV2CommandOutput): Page {
  const { Name, IsTruncated, Contents = [], NextContinuationToken } = answer;
  if (Name === undefined || IsTruncated === undefined)
    throw broken(connection, wanted, 'it is not a ListBucketResult, which S3 would send');
  if (IsTruncated && !NextContinuationToken) throw broken(connection, wanted, 'it does not say how to go on');
  const objects = Contents.map(({ Key, Size }) => {
    if (Key === undefined || Size === undefined || !Number.isSafeInteger(Size) || Size < 0)
      throw broken(connection, wanted, 'an entry has no key or no size');
    return { key: Key, size: Size };
  });
  return { objects, next: IsTruncated ? NextContinuationToken : undefined };
}

/** Keys come in the order of their bytes. */
function checkOrder(last: Buffer, key: string, wanted: string, connection: S3Connection): Buffer {
  const bytes = Buffer.from(key);
  if (!key.startsWith(wanted)) throw broken(connection, wanted, `${shown(key)} does not belong to it`);
  if (Buffer.compare(last, bytes) >= 0)
    throw broken(connection, wanted, `${shown(key)} comes after ${shown(last.toString())}`);
  return bytes;
}

function broken({ place }: S3Connection, wanted: string, found: string): EkkoError {
  const advice = 'The store, or something before it, is at fault: look at the endpoint, or keep the vault elsewhere';
  return new EkkoError('store-failed', `The listing of s3://${place.bucket}/${wanted} is broken: ${found}. ${advice}.`);
}

function shown(key: string): string {
  return JSON.stringify(key.slice(0, 80)).replace(/[^\x20-\x7e]/g, '?');
}
