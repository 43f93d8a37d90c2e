import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { codeOf, EkkoError } from '#vault/errors.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';

/**
 * The catalog's own records, in an object store. Each lies in a folder of its own as numbered versions: a version is written once and
 * never changed, and who writes the next number first has changed the record. Older versions are removed, but for a few.
 *
 * Over a store without an atomic create (Swift) two that write the same number at once may both believe they were first: the later
 * one stands, which suits one process only. Several share a database, or a store that creates once.
 */
export interface Registry {
  /** The newest version, or undefined where there is none or it was forgotten. Throws `damaged`, `store-failed`. */
  read(path: RecordPath): Promise<Stored | undefined>;
  /** Writes the version after `after` (0: there is none). `overtaken`: somebody else did. */
  write(path: RecordPath, record: object, after: number): Promise<'written' | 'overtaken'>;
  /** The number of the newest version, also of a record that was forgotten; 0: there never was one. */
  lastVersion(path: RecordPath): Promise<number>;
  /** Ends a record; a version stays behind that says so. */
  forget(path: RecordPath, after: number): Promise<'written' | 'overtaken'>;
  /** Names in a folder, ascending from after `marker`, with the newest versions of those that are not forgotten. */
  list(folder: RecordFolder, page: Page): Promise<{ readonly records: readonly NamedRecord[]; readonly next?: string }>;
}

/** `['policies', project]`. Any text: what no store would take as a name is replaced by its digest. */
export type RecordFolder = readonly string[];
/** The folder, and the record's name, last. */
export type RecordPath = readonly string[];

export interface Stored {
  readonly version: number;
  readonly record: unknown;
}
export interface NamedRecord extends Stored {
  readonly name: string;
}
export interface Page {
  readonly limit: number;
  readonly marker?: string | undefined;
}

const LARGEST_RECORD = 1024 ** 2;
const KEPT_VERSIONS = 3;
/** Folders that one page looks through: forgotten ones count too. */
const MOST_LOOKED_AT = 5000;
const CACHED_BYTES = 32 * 1024 ** 2;

/** `store` is the operator's. Versions never change, so they are read once. */
export function openRegistry(store: ObjectStore): Registry {
  const cached = new LRUCache<string, { readonly record: unknown; readonly size: number }>({
    maxSize: CACHED_BYTES,
    sizeCalculation: ({ size }) => size,
  });
  const get = async (key: string): Promise<unknown> => {
    const found = cached.get(key);
    if (found !== undefined) return found.record;
    const bytes = await store.get(key, { start: 0, end: LARGEST_RECORD + 1 });
    const record = parse(bytes, `Record ${key}`);
    cached.set(key, { record, size: bytes.length + 200 });
    return record;
  };
  const write = async (path: RecordPath, record: object, after: number): Promise<'written' | 'overtaken'> => {
    const bytes = Buffer.from(JSON.stringify(record));
    if (bytes.length > LARGEST_RECORD) throw new EkkoError('too-large', `A record has ${bytes.length} bytes.`);
    const folder = folderOf(path);
    if ((await store.create(versionKey(folder, after + 1), [bytes])) === 'exists') return 'overtaken';
    await prune(store, folder, after);
    return 'written';
  };

  return {
    write,
    lastVersion: (path) => newestIn(store, folderOf(path)),
    forget: (path, after) => write(path, FORGOTTEN, after),
    async read(path) {
      const folder = folderOf(path);
      // Between the listing and the reading the version may have been pruned: then there are newer ones.
      for (let attempt = 1; ; attempt++) {
        const version = await newestIn(store, folder);
        if (version === 0) return undefined;
        try {
          const record = await get(versionKey(folder, version));
          return isForgotten(record) ? undefined : { version, record };
        } catch (error) {
          if (codeOf(error) !== 'object-missing' || attempt === 3) throw error;
        }
      }
    },
    async list(folder, { limit, marker }) {
      const prefix = `${folder.map(keyPart).join('/')}/`;
      const newest = await newestBelow(store, prefix, marker);
      const records: NamedRecord[] = [];
      for (const [name, version] of newest) {
        if (records.length === limit) return { records, next: records.at(-1)?.name ?? name };
        const record = await get(versionKey(`${prefix}${name}/`, version));
        if (!isForgotten(record)) records.push({ name, version, record });
      }
      return { records };
    },
  };
}

const FORGOTTEN = { forgotten: true } as const;

function isForgotten(record: unknown): boolean {
  return typeof record === 'object' && record !== null && 'forgotten' in record && record.forgotten === true;
}

/** A text as one part of a key. Two texts never give the same part. */
export function keyPart(text: string): string {
  if (/^[a-z0-9-]{1,64}$/.test(text)) return text;
  return `_${createHash('sha256').update(text).digest('hex')}`;
}

function folderOf(path: RecordPath): string {
  return `${path.map(keyPart).join('/')}/`;
}

function versionKey(folder: string, version: number): string {
  return folder + String(version).padStart(12, '0');
}

function versionIn(key: string): number {
  return Number(/\/(\d{12})$/.exec(key)?.[1] ?? 0);
}

async function newestIn(store: ObjectStore, folder: string): Promise<number> {
  let newest = 0;
  for await (const { key } of store.list(folder)) newest = Math.max(newest, versionIn(key));
  return newest;
}

async function newestBelow(store: ObjectStore, prefix: string, marker: string | undefined) {
  const newest = new Map<string, number>();
  const after = marker === undefined ? {} : { after: `${prefix}${keyPart(marker)}/999999999999` };
  for await (const { key } of store.list(prefix, after)) {
    const [, name, version] = /^([^/]+)\/(\d{12})$/.exec(key.slice(prefix.length)) ?? [];
    if (name === undefined) continue;
    newest.set(name, Math.max(newest.get(name) ?? 0, Number(version)));
    if (newest.size >= MOST_LOOKED_AT) break;
  }
  return newest;
}

/** A reader may still be after the one before: a few stay. */
async function prune(store: ObjectStore, folder: string, after: number): Promise<void> {
  if (after < KEPT_VERSIONS) return;
  await store.remove([versionKey(folder, after - KEPT_VERSIONS + 1)]);
}

function parse(bytes: Buffer, origin: string): unknown {
  try {
    if (bytes.length <= LARGEST_RECORD) return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new EkkoError('damaged', `${origin} is not a record of the registry.`, { cause });
  }
  throw new EkkoError('damaged', `${origin} is too large for a record of the registry.`);
}
