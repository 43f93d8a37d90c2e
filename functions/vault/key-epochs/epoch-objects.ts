import pLimit from 'p-limit';
import { codeOf, EkkoError } from '../errors.ts';
import {
  decodeEpochDescription,
  LARGEST_EPOCH_DESCRIPTION,
  type ReadEpochDescription,
} from '../format/epoch-description.ts';
import { contentName, epochKey, epochPlaceOf, Folder } from '../store/object-names.ts';
import type { ObjectStore } from '../store/object-store.ts';

/** A key object whose bytes are those of its name. Nobody vouches for what it says. */
export interface EpochObject extends ReadEpochDescription {
  readonly name: string;
  /** Its key in the store. */
  readonly key: string;
}

/** Of one vault. An epoch has one, and one more for each recipient that was added while it was in force. */
const MOST_OBJECTS = 2000;
/** Of all of them together: they are held in memory for a moment. */
const MOST_BYTES = 32 * 1024 * 1024;
const READ_AT_ONCE = 16;

/**
 * The key objects in a store, of whatever vault, in the order of their keys. What is none is left out: anybody who can write to the
 * store can put things there. Throws `bad-format` where there are too many to look at, `store-failed`.
 */
export async function listEpochObjects(store: ObjectStore): Promise<EpochObject[]> {
  const limit = pLimit(READ_AT_ONCE);
  const reading: Promise<EpochObject | undefined>[] = [];
  let bytes = 0;
  for await (const { key, size } of store.list(Folder.keys)) {
    const place = epochPlaceOf(key);
    if (place === undefined || size > LARGEST_EPOCH_DESCRIPTION) continue;
    bytes += size;
    if (reading.length >= MOST_OBJECTS || bytes > MOST_BYTES) throw tooMany(store);
    reading.push(limit(() => readObject(store, place.epoch, place.name).catch(leftOut)));
  }
  return (await Promise.all(reading)).filter((object) => object !== undefined);
}

/** A key object by its name. Throws `object-missing`, `damaged`, `bad-format`, `store-failed`. */
export async function readEpochObject(
  store: ObjectStore,
  vault: string,
  epoch: number,
  name: string,
): Promise<EpochObject> {
  const object = await readObject(store, epoch, name);
  if (object.description.vault === vault) return object;
  throw new EkkoError('damaged', `${object.key} in ${store.url} belongs to another vault. ${COPY}`);
}

async function readObject(store: ObjectStore, epoch: number, name: string): Promise<EpochObject> {
  const key = epochKey(epoch, name);
  const origin = `${key} in ${store.url}`;
  const bytes = await store.get(key, { start: 0, end: LARGEST_EPOCH_DESCRIPTION + 1 });
  if (contentName([bytes]) !== name) throw new EkkoError('damaged', `${origin} is not what its name says. ${COPY}`);
  const read = decodeEpochDescription(bytes, origin);
  if (read.description.epoch.number === epoch) return { ...read, name, key };
  throw new EkkoError('damaged', `${origin} belongs to another key epoch. ${COPY}`);
}

const COPY = 'Put it back from a copy of the vault: without it the key epoch cannot be opened.';

function leftOut(error: unknown): undefined {
  if (codeOf(error) === 'store-failed' || codeOf(error) === undefined) throw error;
  return undefined;
}

function tooMany(store: ObjectStore): EkkoError {
  return new EkkoError(
    'bad-format',
    `${store.url}/${Folder.keys} holds more than ${MOST_OBJECTS} key objects or ${MOST_BYTES} bytes: somebody else writes there. ` +
      'Compare them with a copy of the vault, and remove what does not belong.',
  );
}
