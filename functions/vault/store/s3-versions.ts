import { ListObjectVersionsCommand, type ListObjectVersionsCommandOutput } from '@aws-sdk/client-s3';
import { EkkoError } from '../errors.ts';
import { isKey } from './check-key.ts';
import type { StoredVersion, StoredVersions } from './object-locking.ts';
import type { S3Connection } from './s3-connection.ts';

/** More of one key are not held: those between the newest and the oldest are left out. */
const MOST_VERSIONS = 1000;

/**
 * The keys that begin with `prefix`, after `after`, each with all its versions and delete markers, ascending; a page of the store's
 * listing (1,000 versions) at a time. What no key can name is left out. Throws `store-failed`.
 */
export async function* listVersions(
  connection: S3Connection,
  prefix: string,
  after = '',
): AsyncGenerator<StoredVersions> {
  const { place } = connection;
  let open: Draft | undefined;
  let marker: Marker | undefined = after === '' ? undefined : { key: place.prefix + after };
  do {
    const page = await readPage(connection, place.prefix + prefix, marker);
    for (const entry of page.entries) {
      const key = entry.key.slice(place.prefix.length);
      // Some stores begin with the key that was named, others behind it.
      if (!isKey(key) || key <= after) continue;
      if (open !== undefined && key < open.key) throw broken(connection, prefix, 'it is out of order');
      if (open !== undefined && key !== open.key) yield finished(open);
      if (open?.key !== key) open = { key, versions: [], markers: [], hidden: false };
      add(open, entry);
    }
    if (page.next !== undefined && page.next.key === marker?.key && page.next.id === marker.id)
      throw broken(connection, prefix, 'it does not go on');
    marker = page.next;
  } while (marker !== undefined);
  if (open !== undefined) yield finished(open);
}

/** The versions of one key; undefined where there is none, and no delete marker either. Throws `store-failed`. */
export async function versionsOf(connection: S3Connection, key: string): Promise<StoredVersions | undefined> {
  for await (const found of listVersions(connection, key)) return found.key === key ? found : undefined;
  return undefined;
}

interface Draft {
  readonly key: string;
  readonly versions: StoredVersion[];
  readonly markers: string[];
  hidden: boolean;
}

interface Marker {
  readonly key: string;
  readonly id?: string | undefined;
}

interface Entry {
  readonly key: string;
  readonly id: string;
  /** Bytes; undefined for a delete marker. */
  readonly size: number | undefined;
  readonly newest: boolean;
}

function add(draft: Draft, { id, size, newest }: Entry): void {
  if (size === undefined) {
    if (newest) draft.hidden = true;
    if (draft.markers.length < MOST_VERSIONS) draft.markers.push(id);
    return;
  }
  // The oldest one, which comes last, takes the place of the one before it.
  if (draft.versions.length === MOST_VERSIONS) draft.versions.pop();
  draft.versions.push({ id, size });
}

function finished({ key, versions, markers, hidden }: Draft): StoredVersions {
  return { key, size: versions.at(-1)?.size ?? 0, versions, markers, hidden };
}

async function readPage(connection: S3Connection, wanted: string, after: Marker | undefined) {
  const { place, send } = connection;
  const request = {
    Bucket: place.bucket,
    Prefix: wanted,
    ...(after === undefined ? {} : { KeyMarker: after.key }),
    ...(after?.id === undefined ? {} : { VersionIdMarker: after.id }),
  };
  const answer = await send(`Cannot list the versions of s3://${place.bucket}/${wanted}`, (client) =>
    client.send(new ListObjectVersionsCommand(request)),
  );
  return pageOf(connection, wanted, answer);
}

/** The SDK gives versions and delete markers apart, each in the order of the listing: by key, newest first. */
function pageOf(connection: S3Connection, wanted: string, answer: ListObjectVersionsCommandOutput) {
  const { Name, IsTruncated, Versions = [], DeleteMarkers = [], NextKeyMarker, NextVersionIdMarker } = answer;
  if (Name === undefined || IsTruncated === undefined)
    throw broken(connection, wanted, 'it is not a ListVersionsResult, which S3 would send');
  if (IsTruncated && !NextKeyMarker) throw broken(connection, wanted, 'it does not say how to go on');
  const versions = Versions.map((version) => entryOf(connection, wanted, { ...version, Size: version.Size ?? -1 }));
  const markers = DeleteMarkers.map((marker) => entryOf(connection, wanted, marker));
  const entries = [...markers, ...versions].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return { entries, next: IsTruncated ? { key: NextKeyMarker ?? '', id: NextVersionIdMarker } : undefined };
}

interface SaidEntry {
  readonly Key?: string | undefined;
  readonly VersionId?: string | undefined;
  readonly IsLatest?: boolean | undefined;
  readonly Size?: number;
}

function entryOf(connection: S3Connection, wanted: string, { Key, VersionId, IsLatest, Size }: SaidEntry): Entry {
  if (
    Key === undefined ||
    VersionId === undefined ||
    (Size !== undefined && !(Number.isSafeInteger(Size) && Size >= 0))
  )
    throw broken(connection, wanted, 'an entry has no key, no version or no size');
  if (!Key.startsWith(wanted)) throw broken(connection, wanted, 'a key does not belong to it');
  return { key: Key, id: VersionId, size: Size, newest: IsLatest === true };
}

function broken({ place }: S3Connection, wanted: string, found: string): EkkoError {
  const advice = 'The store, or something before it, is at fault: look at the endpoint, or keep the vault elsewhere';
  return new EkkoError(
    'store-failed',
    `The listing of the versions of s3://${place.bucket}/${wanted} is broken: ${found}. ${advice}.`,
  );
}
