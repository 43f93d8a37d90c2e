import { EkkoError } from './errors.ts';
import type { Extent } from './format/extents.ts';
import { decodeManifest, encodeManifest, type Manifest } from './format/manifest.ts';
import { decodeMove, encodeMove, type Move } from './format/move.ts';
import { decodePage, decodePagePacks, encodePage } from './format/page.ts';
import { decodePoint, encodePoint, type RestorePoint } from './format/point.ts';
import { openRecord, RecordKind, sealRecord } from './format/record.ts';
import type { Keyring } from './keys/epoch-keys.ts';
import { release } from './memory.ts';
import type { PackMoves } from './moves/pack-moves.ts';
import { type ContentFolder, contentKey, contentName, Folder } from './store/object-names.ts';
import type { ObjectStore } from './store/object-store.ts';

/** All that is needed to read a vault's objects. */
export interface VaultReader {
  readonly store: ObjectStore;
  readonly keyring: Keyring;
  /** Tells which packs were moved. Undefined: nothing is known of it, and the store is asked when a pack cannot be had. */
  readonly journal?: PackMoves | undefined;
}

/**
 * The content-named records: pages, manifests, points, moves. Read: fetched whole, checked against their name, opened, decoded.
 * Throws `object-missing`, `damaged`, `bad-format`, `wrong-key`, each naming the object. Write: returns the name; durable.
 */
export async function readPage(reader: VaultReader, name: string): Promise<Extent[]> {
  return decodePage(await readRecord(reader, Folder.pages, RecordKind.page, name), contentKey(Folder.pages, name));
}

/** The references of the packs that a page names, one behind the other: a fraction of the work of reading its extents. */
export async function readPagePacks(reader: VaultReader, name: string): Promise<Buffer> {
  const body = await readRecord(reader, Folder.pages, RecordKind.page, name);
  const references = Buffer.from(decodePagePacks(body, contentKey(Folder.pages, name)));
  release(body);
  return references;
}

export async function readManifest(reader: VaultReader, name: string): Promise<Manifest> {
  const key = contentKey(Folder.manifests, name);
  return decodeManifest(await readRecord(reader, Folder.manifests, RecordKind.manifest, name), key);
}

export async function readPoint(reader: VaultReader, name: string): Promise<RestorePoint> {
  return decodePoint(await readRecord(reader, Folder.points, RecordKind.point, name), contentKey(Folder.points, name));
}

export async function readMove(reader: VaultReader, name: string): Promise<Move> {
  return decodeMove(await readRecord(reader, Folder.moves, RecordKind.move, name), contentKey(Folder.moves, name));
}

export function writePage(writer: VaultReader, extents: readonly Extent[]): Promise<string> {
  return writeRecord(writer, Folder.pages, RecordKind.page, encodePage(extents));
}

export function writeManifest(writer: VaultReader, manifest: Manifest): Promise<string> {
  return writeRecord(writer, Folder.manifests, RecordKind.manifest, encodeManifest(manifest));
}

export function writePoint(writer: VaultReader, point: RestorePoint): Promise<string> {
  return writeRecord(writer, Folder.points, RecordKind.point, encodePoint(point));
}

export function writeMove(writer: VaultReader, move: Move): Promise<string> {
  return writeRecord(writer, Folder.moves, RecordKind.move, encodeMove(move));
}

/** The bytes of a content-named object. Throws `damaged` when they are not the ones its name stands for. */
export async function readContent(store: ObjectStore, folder: ContentFolder, name: string): Promise<Buffer> {
  const key = contentKey(folder, name);
  const bytes = await store.get(key);
  const found = contentName([bytes]);
  if (found === name) return bytes;
  throw new EkkoError(
    'damaged',
    `${key} is not what its name says: its ${bytes.length} bytes have the SHA-256 ${found}.`,
  );
}

async function readRecord(reader: VaultReader, folder: ContentFolder, kind: RecordKind, name: string): Promise<Buffer> {
  const bytes = await readContent(reader.store, folder, name);
  const body = openRecord(reader.keyring, { kind, context: '' }, bytes, contentKey(folder, name));
  // Whoever follows all points reads many thousands.
  release(bytes);
  return body;
}

async function writeRecord(
  writer: VaultReader,
  folder: ContentFolder,
  kind: RecordKind,
  body: Uint8Array,
): Promise<string> {
  const bytes = sealRecord(writer.keyring.newest, { kind, context: '' }, body);
  const name = contentName([bytes]);
  await writer.store.create(contentKey(folder, name), [bytes]);
  return name;
}
