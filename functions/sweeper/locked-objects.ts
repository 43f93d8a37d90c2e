import { parseJson } from '#vault/format/bytes.ts';
import { type FieldReader, integer, listOf, oneOf, readFields, text, time } from '#vault/format/fields.ts';
import { RecordKind, sealRecord } from '#vault/format/record.ts';
import type { VaultReader } from '#vault/records.ts';
import type { KeptObject } from '#vault/store/object-locking.ts';
import { contentKey, Folder, sweepNoteKey } from '#vault/store/object-names.ts';
import type { Vault } from '#vault/vault.ts';
import { lockMs } from '#vault/words.ts';
import { type ByKind, emptyByKind, type FoundObject, KINDS } from './inventory.ts';
import type { LiveKind } from './liveness.ts';
import { decodeOr, isLockedNote, LOCKED_PART, packNames, readNote, unpackNames } from './sweep-notes.ts';

/** Condemned objects that their locks keep until then: until then nobody asks for their removal. */
export interface LockedObjects {
  readonly kind: LiveKind;
  readonly until: string;
  readonly bytes: number;
  readonly names: readonly string[];
}

const MOST_GROUPS = 10_000;
const MOST_NOTED = 500_000;
/** Ends of locks are told apart by this share of the time that objects are locked. */
const STEPS = 64;

/** What the newest note that opens says; nothing where there is none. */
export async function readLocked(reader: VaultReader, notes: readonly string[]): Promise<readonly LockedObjects[]> {
  for (const key of notes.filter(isLockedNote).reverse()) {
    const body = await readNote(reader, key);
    const locked = body && decodeOr(() => decodeLocked(body, key));
    if (locked !== undefined) return locked;
  }
  return [];
}

/** Splits objects into those that may be removed by now, and the groups of those that are known to be locked still. */
export function splitLocked(objects: ByKind, noted: readonly LockedObjects[], now: Date) {
  const standing = noted.filter(({ until }) => Date.parse(until) > now.getTime());
  const groupOf = new Map(standing.flatMap((group) => group.names.map((name) => [name, group] as const)));
  const free = emptyByKind();
  const kept = new Map<LockedObjects, FoundObject[]>();
  for (const kind of KINDS) {
    for (const object of objects[kind]) {
      const group = groupOf.get(object.name);
      if (group?.kind !== kind) free[kind].push(object);
      else membersOf(kept, group).push(object);
    }
  }
  return { free, locked: [...kept].map(([group, members]) => groupFrom(group.kind, group.until, members)) };
}

function membersOf(kept: Map<LockedObjects, FoundObject[]>, group: LockedObjects): FoundObject[] {
  const members = kept.get(group) ?? [];
  kept.set(group, members);
  return members;
}

/** Groups of the objects that were kept, and what was removed of `objects`. A legal hold is asked for again each time. */
export function groupKept(vault: Vault, objects: ByKind, kept: readonly KeptObject[]) {
  const step = Math.max(1, lockMs(vault.description.lock ?? { mode: 'governance', days: 1 }) / STEPS);
  const ends = new Map(kept.map(({ key, until }) => [key, until]));
  const removed = emptyByKind();
  const groups = new Map<string, { kind: LiveKind; until: string; members: FoundObject[] }>();
  for (const kind of KINDS) {
    for (const object of objects[kind]) {
      const key = contentKey(Folder[kind], object.name);
      if (!ends.has(key)) {
        removed[kind].push(object);
        continue;
      }
      const end = ends.get(key)?.getTime() ?? Date.now();
      const until = new Date(Math.ceil(end / step) * step).toISOString();
      const group = groups.get(`${kind} ${until}`) ?? { kind, until, members: [] };
      groups.set(`${kind} ${until}`, group);
      group.members.push(object);
    }
  }
  const locked = [...groups.values()].map(({ kind, until, members }) => groupFrom(kind, until, members));
  return { removed, locked };
}

/** Writes the note of a sweep that ended at the journal's entry `position`. The first one stands. Returns its key. */
export async function writeLocked(
  { store, keyring }: VaultReader,
  position: number,
  locked: readonly LockedObjects[],
): Promise<string> {
  const key = sweepNoteKey(position, LOCKED_PART);
  const body = Buffer.from(JSON.stringify({ locked: bounded(locked).map(encoded) }));
  await store.create(key, [sealRecord(keyring.newest, { kind: RecordKind.sweepNote, context: key }, body)]);
  return key;
}

function groupFrom(kind: LiveKind, until: string, members: readonly FoundObject[]): LockedObjects {
  const bytes = members.reduce((sum, { size }) => sum + size, 0);
  return { kind, until, bytes, names: members.map(({ name }) => name) };
}

function bounded(locked: readonly LockedObjects[]): readonly LockedObjects[] {
  let left = MOST_NOTED;
  return locked.slice(0, MOST_GROUPS).filter(({ names }) => {
    left -= names.length;
    return left >= 0;
  });
}

function encoded(group: LockedObjects) {
  return { ...group, names: packNames(group.names) };
}

function decodeLocked(body: Buffer, origin: string): readonly LockedObjects[] {
  const group = (field: FieldReader): LockedObjects => ({
    kind: field('kind', oneOf('points', 'manifests', 'pages', 'moves', 'packs')),
    until: field('until', time),
    bytes: field('bytes', integer(Number.MAX_SAFE_INTEGER)),
    names: unpackNames(field('names', text(Number.POSITIVE_INFINITY))),
  });
  return readFields(parseJson(body, origin), origin, (field) =>
    field(
      'locked',
      listOf((value, what) => readFields(value, what, group), MOST_GROUPS),
    ),
  );
}
