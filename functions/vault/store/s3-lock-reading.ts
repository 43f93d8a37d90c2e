import { codeOf, EkkoError } from '../errors.ts';
import type { StoredVersions } from './object-locking.ts';
import { contentName, isFirstToCount, nameOf, VAULT_JSON } from './object-names.ts';
import type { ByteRange } from './object-store.ts';
import { type S3Connection, s3Name } from './s3-connection.ts';
import { readS3 } from './s3-reading.ts';
import { listVersions, versionsOf } from './s3-versions.ts';

/** First versions that are remembered: what lies behind a key never changes. */
const MOST_REMEMBERED = 50_000;
const LISTED_AHEAD = 1000;
/** Bytes of a `vault.json` that are looked at. */
const LARGEST_DESCRIPTION = 65_536;

/** Reads objects past whatever was laid over them. */
export interface S3LockReading {
  get(key: string, range: ByteRange | undefined): Promise<Buffer>;
  /** Whether the object was ever there and has not been removed, hidden or not. For keys whose first object counts. */
  has(key: string): Promise<boolean>;
  /** The version of an object that counts; undefined where none does. Reads only where there are several. */
  soundVersion(object: StoredVersions): Promise<string | undefined>;
}

export function openLockReading(connection: S3Connection): S3LockReading {
  const first = openFirstVersions(connection);

  const getFirst = async (key: string, range: ByteRange | undefined): Promise<Buffer> => {
    const version = await first(key);
    if (version === undefined) throw missing(connection, key);
    return (await readS3(connection, key, range, version)).bytes;
  };

  /** The newest version, where it has the name; of a range nobody can tell, until what is in it is opened. */
  const getNamed = async (key: string, range: ByteRange | undefined): Promise<Buffer> => {
    const newest = await readOrNothing(connection, key, range);
    if (newest !== undefined && (range !== undefined || hasName(key, newest))) return newest;
    const found = await versionsOf(connection, key);
    const id = found && (range === undefined ? await soundVersion(found) : found.versions.at(-1)?.id);
    if (id !== undefined) return (await readS3(connection, key, range, id)).bytes;
    if (newest !== undefined) return newest;
    throw missing(connection, key);
  };

  const soundVersion = async ({ key, versions }: StoredVersions): Promise<string | undefined> => {
    const oldest = versions.at(-1)?.id;
    if (versions.length < 2 || isFirstToCount(key)) return oldest;
    for (const { id } of versions.toReversed()) {
      const bytes = await readOrNothing(connection, key, undefined, id);
      if (bytes !== undefined && hasName(key, bytes)) return id;
    }
    return undefined;
  };

  return {
    get(key, range) {
      if (isFirstToCount(key)) return getFirst(key, range);
      if (nameOf(key) !== undefined) return getNamed(key, range);
      return readS3(connection, key, range).then(({ bytes }) => bytes);
    },
    has: async (key) => (await first(key)) !== undefined,
    soundVersion,
  };
}

/**
 * Reading before anybody has said that there are locks: as the store gives it. But of `vault.json`, which says so, the first version
 * counts where it says that the vault is locked: else whoever lays another one over it, or hides it, decides that.
 */
export async function readUnlocked(
  connection: S3Connection,
  key: string,
  range: ByteRange | undefined,
): Promise<Buffer> {
  if (key !== VAULT_JSON) return (await readS3(connection, key, range)).bytes;
  const newest = await readS3(connection, key, range).catch((error: unknown) => {
    if (codeOf(error) === 'object-missing') return undefined;
    throw error;
  });
  if (newest !== undefined && newest.version === undefined) return newest.bytes;
  // Without the right to list versions the store says what it says.
  const found = await versionsOf(connection, key).catch(() => undefined);
  const oldest = found?.versions.at(-1)?.id;
  if (oldest !== undefined && oldest !== newest?.version) {
    const { bytes } = await readS3(connection, key, undefined, oldest);
    if (/"lock"\s*:/.test(bytes.toString('latin1', 0, LARGEST_DESCRIPTION)))
      return bytes.subarray(range?.start, range?.end);
  }
  if (newest !== undefined) return newest.bytes;
  throw missing(connection, key);
}

/** Finds the first version of keys, a page of a listing ahead: journals are read in order. */
function openFirstVersions(connection: S3Connection): (key: string) => Promise<string | undefined> {
  const known = new Map<string, string>();

  const lookAhead = async (key: string): Promise<void> => {
    const folder = key.slice(0, key.lastIndexOf('/') + 1);
    if (folder === '') return remember(await versionsOf(connection, key));
    let listed = 0;
    for await (const found of listVersions(connection, folder, justBefore(key))) {
      remember(found);
      if (++listed >= LISTED_AHEAD) return;
    }
  };

  const remember = (found: StoredVersions | undefined): void => {
    const oldest = found?.versions.at(-1)?.id;
    if (found === undefined || oldest === undefined) return;
    if (known.size >= MOST_REMEMBERED) known.clear();
    known.set(found.key, oldest);
  };

  /** One listing for all that ask at the same time. */
  let looking: Promise<void> = Promise.resolve();
  return async (key) => {
    if (known.has(key)) return known.get(key);
    looking = looking.catch(() => undefined).then(() => (known.has(key) ? undefined : lookAhead(key)));
    await looking;
    return known.get(key);
  };
}

/** A key after which the listing begins with this one: keys have no letter before `-`. */
function justBefore(key: string): string {
  return `${key.slice(0, -1)}${String.fromCharCode(key.charCodeAt(key.length - 1) - 1)}~`;
}

async function readOrNothing(
  connection: S3Connection,
  key: string,
  range: ByteRange | undefined,
  version?: string,
): Promise<Buffer | undefined> {
  try {
    return (await readS3(connection, key, range, version)).bytes;
  } catch (error) {
    if (codeOf(error) === 'object-missing' || codeOf(error) === 'damaged') return undefined;
    throw error;
  }
}

function hasName(key: string, bytes: Buffer): boolean {
  return contentName([bytes]) === nameOf(key);
}

function missing({ place }: S3Connection, key: string): EkkoError {
  return new EkkoError('object-missing', `${s3Name(place, key)} is missing.`);
}
