import { EkkoError } from './errors.ts';
import type { Extent } from './format/extents.ts';
import { decodeManifest, encodeManifest, type Manifest } from './format/manifest.ts';
import { decodeMove, encodeMove, type Move } from './format/move.ts';
import { decodePage, decodePagePacks, encodePage } from './format/page.ts';
import type { RestorePoint } from './format/point.ts';
import { endOfPoint, openPoint, openPointHead, sealPoint } from './format/point-object.ts';
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
  const bytes = await readContent(reader.store, Folder.points, name);
  return openPoint(reader.keyring, bytes, contentKey(Folder.points, name));
}

/** The point's record in nearly all cases, however large its topology is. */
const HEAD_SIZE = 16 * 1024;

/**
 * A point without its topology, which is not read. What is not read is not checked against the name: that the record is that of run `run` is.
 * Throws as the others.
 */
export async function readListedPoint(
  { store, keyring }: VaultReader,
  { run, point: name }: { readonly run: string; readonly point: string },
): Promise<RestorePoint> {
  const key = contentKey(Folder.points, name);
  const head = await store.get(key, { start: 0, end: HEAD_SIZE });
  if (head.length < HEAD_SIZE) checkContent(head, name, key);
  const found = openPointHead(keyring, await restOfHead(store, name, head), key);
  if (found.id === run) return found;
  throw new EkkoError('damaged', `${key} is not what its name says: it does not hold point ${run}.`);
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
  return writeContent(writer.store, Folder.points, sealPoint(writer.keyring.newest, point));
}

export function writeMove(writer: VaultReader, move: Move): Promise<string> {
  return writeRecord(writer, Folder.moves, RecordKind.move, encodeMove(move));
}

/** The object at least up to the end of the point's record. */
async function restOfHead(store: ObjectStore, name: string, head: Buffer): Promise<Buffer> {
  if (head.length < HEAD_SIZE) return head;
  const key = contentKey(Folder.points, name);
  const end = endOfPoint(head, key);
  if (end === undefined) return readContent(store, Folder.points, name);
  return end <= head.length ? head : Buffer.concat([head, await store.get(key, { start: head.length, end })]);
}

/** The bytes of a content-named object. Throws `damaged` when they are not the ones its name stands for. */
export async function readContent(store: ObjectStore, folder: ContentFolder, name: string): Promise<Buffer> {
  const key = contentKey(folder, name);
  const bytes = await store.get(key);
  checkContent(bytes, name, key);
  return bytes;
}

function checkContent(bytes: Buffer, name: string, key: string): void {
  const found = contentName([bytes]);
  if (found === name) return;
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

function writeRecord(writer: VaultReader, folder: ContentFolder, kind: RecordKind, body: Uint8Array): Promise<string> {
  return writeContent(writer.store, folder, [sealRecord(writer.keyring.newest, { kind, context: '' }, body)]);
}

async function writeContent(store: ObjectStore, folder: ContentFolder, pieces: readonly Buffer[]): Promise<string> {
  const name = contentName(pieces);
  await store.create(contentKey(folder, name), pieces);
  return name;
}
