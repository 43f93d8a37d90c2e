import { isUnreadable } from '#vault/errors.ts';
import { parseJson } from '#vault/format/bytes.ts';
import { type FieldReader, listOf, oneOf, readFields, runId, text } from '#vault/format/fields.ts';
import { epochOfRecord, openRecord, RecordKind, sealRecord } from '#vault/format/record.ts';
import type { VaultReader } from '#vault/records.ts';
import { Folder, sweepNoteKey } from '#vault/store/object-names.ts';
import type { LiveKind } from './liveness.ts';

/**
 * What a sweep notes for the next one (`docs/format.md`, "Sweep notes"). Notes save time and delay nothing but removals when they are
 * lost: no name is ever condemned because of them alone.
 */

/**
 * Orphans that wait for runs to end. `seen`: for the runs that were open when they were first seen. `unlinked`: their samples
 * are gone since, so that no later run can come upon them; they wait for the runs that were open then.
 */
export interface WaitingObjects {
  readonly kind: LiveKind;
  readonly stage: 'seen' | 'unlinked';
  readonly runs: readonly string[];
  readonly names: readonly string[];
}

/** More are not noted; they are new to the next sweep again. */
const MOST_NOTED = 500_000;
const MOST_GROUPS = 10_000;
const MOST_RUNS = 100_000;
const WAITING_PART = 0;
/** Of locked objects (`locked-objects.ts`). */
export const LOCKED_PART = 9999;

/** What the newest note that opens says; nothing where there is none. */
export async function readWaiting(reader: VaultReader, notes: readonly string[]): Promise<readonly WaitingObjects[]> {
  for (const key of notes.filter(isWaitingNote).reverse()) {
    const body = await readNote(reader, key);
    const waiting = body && decodeOr(() => decodeWaiting(body, key));
    if (waiting !== undefined) return waiting;
  }
  return [];
}

/** Whether a note tells of waiting orphans. Those that do not, and do not tell of locked objects, tell of pages. */
export function isWaitingNote(key: string): boolean {
  return key.endsWith('/0000');
}

export function isLockedNote(key: string): boolean {
  return key.endsWith(`/${LOCKED_PART}`);
}

/** Keys of all notes, ascending. Throws `store-failed`. */
export async function listNotes(reader: VaultReader): Promise<string[]> {
  const notes = await Array.fromAsync(reader.store.list(Folder.sweeps));
  return notes.map(({ key }) => key);
}

/**
 * The body of a note; undefined where it cannot be read, or is not sealed under the newest key epoch: who had an older key only might
 * say that a page needs nothing. Throws `store-failed`.
 */
export async function readNote({ store, keyring }: VaultReader, key: string): Promise<Buffer | undefined> {
  const bytes = await store.get(key).catch((error: unknown) => unlessUnreadable(error));
  if (bytes === undefined || epochOfRecord(bytes) !== keyring.newest.epoch) return undefined;
  return decodeOr(() => openRecord(keyring, { kind: RecordKind.sweepNote, context: key }, bytes, key));
}

/** What `decode` gives; undefined for bytes that it refuses. */
export function decodeOr<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    return unlessUnreadable(error);
  }
}

function unlessUnreadable(error: unknown): undefined {
  if (!isUnreadable(error)) throw error;
  return undefined;
}

/** Writes the note of a sweep that ended at the journal's entry `position`. The first one stands. Returns its key. */
export async function writeWaiting(
  { store, keyring }: VaultReader,
  position: number,
  waiting: readonly WaitingObjects[],
): Promise<string> {
  const key = sweepNoteKey(position, WAITING_PART);
  const body = Buffer.from(JSON.stringify({ waiting: bounded(waiting).map(encoded) }));
  await store.create(key, [sealRecord(keyring.newest, { kind: RecordKind.sweepNote, context: key }, body)]);
  return key;
}

function bounded(waiting: readonly WaitingObjects[]): readonly WaitingObjects[] {
  let left = MOST_NOTED;
  return waiting.slice(0, MOST_GROUPS).flatMap((group) => {
    const names = group.names.slice(0, left);
    left -= names.length;
    return names.length === 0 ? [] : [{ ...group, names }];
  });
}

function encoded(group: WaitingObjects) {
  return { ...group, names: packNames(group.names) };
}

function decodeWaiting(body: Buffer, origin: string): readonly WaitingObjects[] {
  const group = (field: FieldReader): WaitingObjects => ({
    kind: field('kind', oneOf('points', 'manifests', 'pages', 'moves', 'packs')),
    stage: field('stage', oneOf('seen', 'unlinked')),
    runs: field('runs', listOf(runId, MOST_RUNS)),
    names: unpackNames(field('names', text(Number.POSITIVE_INFINITY))),
  });
  return readFields(parseJson(body, origin), origin, (field) =>
    field(
      'waiting',
      listOf((value, what) => readFields(value, what, group), MOST_GROUPS),
    ),
  );
}

/** Names as one base64 string of 32 bytes each. */
export function packNames(names: readonly string[]): string {
  return Buffer.from(names.join(''), 'hex').toString('base64');
}

export function unpackNames(names: string): string[] {
  const bytes = Buffer.from(names, 'base64');
  return Array.from({ length: bytes.length >>> 5 }, (_, i) => bytes.toString('hex', i * 32, (i + 1) * 32));
}
