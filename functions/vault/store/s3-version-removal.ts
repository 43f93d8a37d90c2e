import { DeleteObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import pLimit from 'p-limit';
import type { KeptObject } from './object-locking.ts';
import { type S3Connection, s3Name } from './s3-connection.ts';
import { failureOf, isPassing, OddAnswer, s3Failure } from './s3-errors.ts';
import { bulkRequest, refusesBulk } from './s3-removal.ts';
import { keptUntil, type S3Version } from './s3-retention.ts';
import { versionsOf } from './s3-versions.ts';

/** What S3 takes in one request. */
const VERSIONS_PER_REQUEST = 1000;
const AT_ONCE = 16;

export interface S3VersionRemoval {
  /** Removes objects with all their versions and delete markers. Resolves to those of which a lock keeps one. Throws `store-failed`. */
  remove(keys: readonly string[]): Promise<readonly KeptObject[]>;
  /** Removes single versions. Resolves to those that a lock keeps. Throws `store-failed`. */
  removeVersions(versions: readonly S3Version[]): Promise<readonly KeptObject[]>;
}

/**
 * In a bucket that keeps versions, removing an object by its key alone hides it and frees nothing. So its versions are listed, and removed
 * one by one, by a thousand in a request.
 */
export function openVersionRemoval(connection: S3Connection): S3VersionRemoval {
  const { place } = connection;
  const limit = pLimit(AT_ONCE);
  let inBulk = true;

  const removeVersions = async (versions: readonly S3Version[]): Promise<readonly KeptObject[]> => {
    const refused: S3Version[] = [];
    for (let at = 0; at < versions.length; at += VERSIONS_PER_REQUEST) {
      refused.push(...(await removeSome(versions.slice(at, at + VERSIONS_PER_REQUEST))));
    }
    return Promise.all(refused.map((version) => limit(() => lockOf(version))));
  };

  /** Resolves to those that the store refuses to remove. */
  async function removeSome(versions: readonly S3Version[]): Promise<readonly S3Version[]> {
    const answer = inBulk && versions.length > 1 ? await removeInBulk(versions) : undefined;
    if (answer !== undefined) return answer;
    const refused = await Promise.all(versions.map((version) => limit(() => removeOne(version))));
    return versions.filter((_, at) => refused[at]);
  }

  /** Undefined where the store does not know such requests. What is left after a try is what the next one asks for. */
  async function removeInBulk(versions: readonly S3Version[]): Promise<readonly S3Version[] | undefined> {
    const refused: S3Version[] = [];
    let left = versions;
    return connection.send(`Cannot remove ${s3Name(place, left[0]?.key ?? '')}`, async (client) => {
      const outcome = await askInBulk(client, connection, left);
      if (outcome === 'refused') {
        inBulk = false;
        return undefined;
      }
      refused.push(...outcome.refused);
      left = outcome.left;
      if (outcome.why !== undefined) throw outcome.why;
      return refused;
    });
  }

  const removeOne = ({ key, id }: S3Version): Promise<boolean> =>
    connection.send(`Cannot remove ${s3Name(place, key)}`, async (client) => {
      try {
        const request = { Bucket: place.bucket, Key: place.prefix + key, VersionId: id };
        const { $metadata } = await client.send(new DeleteObjectCommand(request));
        if ($metadata.httpStatusCode !== 204) throw new OddAnswer(`it answered ${$metadata.httpStatusCode}, not 204`);
        return false;
      } catch (error) {
        if (failureOf(error).status === 403) return true;
        throw error;
      }
    });

  /** What a store refuses to remove without a lock is forbidden. */
  async function lockOf(version: S3Version): Promise<KeptObject> {
    const found = await keptUntil(connection, version);
    if (found !== undefined && (found.until === undefined || found.until.getTime() > Date.now() - CLOCKS_APART_MS))
      return found;
    const error = new Error('AccessDenied');
    error.name = 'AccessDenied';
    throw s3Failure(error, `Cannot remove a version of ${s3Name(place, version.key)}`, place);
  }

  async function remove(keys: readonly string[]): Promise<readonly KeptObject[]> {
    const found = await Promise.all([...new Set(keys)].map((key) => limit(() => versionsOf(connection, key))));
    const versions = found.flatMap((each) =>
      each === undefined
        ? []
        : [...each.versions.map(({ id }) => id), ...each.markers].map((id) => ({ key: each.key, id })),
    );
    return longestOf(await removeVersions(versions));
  }

  return { remove, removeVersions };
}

/** A lock that ended a moment ago, by this machine's clock, may have stood when the store was asked. */
const CLOCKS_APART_MS = 300_000;

/** One for each key: the lock that ends last. */
function longestOf(kept: readonly KeptObject[]): readonly KeptObject[] {
  const byKey = new Map<string, KeptObject>();
  for (const each of kept) {
    const before = byKey.get(each.key);
    const isLonger = before?.until !== undefined && (each.until === undefined || each.until > before.until);
    if (before === undefined || isLonger) byKey.set(each.key, each);
  }
  return [...byKey.values()];
}

interface Outcome {
  readonly refused: readonly S3Version[];
  /** Worth another try, and why they are left. */
  readonly left: readonly S3Version[];
  readonly why?: Error;
}

async function askInBulk(
  client: S3Client,
  connection: S3Connection,
  versions: readonly S3Version[],
): Promise<Outcome | 'refused'> {
  const { place } = connection;
  try {
    const { Deleted = [], Errors = [] } = await client.send(bulkRequest(connection, versions));
    const nameOf = (key: string | undefined, id: string | undefined) => `${key} ${id}`;
    const gone = new Set(Deleted.map(({ Key, VersionId }) => nameOf(Key, VersionId)));
    const failed = new Map(Errors.map(({ Key, VersionId, Code = 'unknown' }) => [nameOf(Key, VersionId), Code]));
    const codeOf = ({ key, id }: S3Version) => failed.get(nameOf(place.prefix + key, id));
    const isGone = (version: S3Version) =>
      gone.has(nameOf(place.prefix + version.key, version.id)) || GONE.has(codeOf(version) ?? '');
    const rest = versions.filter((version) => !isGone(version));
    const refused = rest.filter((version) => codeOf(version) === 'AccessDenied');
    const left = rest.filter((version) => codeOf(version) !== 'AccessDenied');
    if (left.length === 0) return { refused, left };
    return { refused, left, why: reasonOf(left.map(codeOf)) };
  } catch (error) {
    if (refusesBulk(error)) return 'refused';
    throw error;
  }
}

const GONE: ReadonlySet<string> = new Set(['NoSuchKey', 'NoSuchVersion']);

/** A code that is no passing one first: then it is no use to try again. */
function reasonOf(codes: readonly (string | undefined)[]): Error {
  const errors = codes.map((code) => {
    if (code === undefined) return new OddAnswer(`it did not say that ${codes.length} of them are gone`);
    const error = new Error(code);
    error.name = code;
    return error;
  });
  return errors.find((error) => !isPassing(error)) ?? errors[0] ?? new OddAnswer('it did not say what is gone');
}
