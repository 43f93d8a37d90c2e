import { checkKey, checkPrefix } from './check-key.ts';
import { NOTHING_KEPT, type ObjectStore } from './object-store.ts';
import { openS3Client } from './s3-client.ts';
import { openS3Connection } from './s3-connection.ts';
import { listS3 } from './s3-listing.ts';
import { openS3Locking } from './s3-locking.ts';
import { openS3Removal } from './s3-removal.ts';
import { PATIENCE, type Patience } from './s3-retry.ts';
import { readS3Url } from './s3-url.ts';
import { writeS3 } from './s3-writing.ts';

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
  const client = openS3Client(place, environment, patience);
  const connection = openS3Connection(place, client, patience);
  const removal = openS3Removal(connection);
  const { locking, locked, reading } = openS3Locking(connection, client);
  const isLocked = () => locking.rule() !== undefined;
  return {
    url: place.url,
    locking,

    async create(key, body) {
      checkKey(key);
      return isLocked() ? locked.create(key, body) : writeS3(connection, key, body);
    },

    async get(key, range) {
      checkKey(key);
      return isLocked() ? locked.get(key, range) : reading.get(key, range);
    },

    async *list(prefix, { after = '' } = {}) {
      checkPrefix(prefix);
      yield* isLocked() ? locked.list(prefix, after) : listS3(connection, prefix, after);
    },

    async remove(keys) {
      keys.forEach(checkKey);
      if (isLocked()) return locked.remove(keys);
      await removal.remove(keys);
      return NOTHING_KEPT;
    },
  };
}
