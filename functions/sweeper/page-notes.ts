import { RecordKind, sealRecord } from '#vault/format/record.ts';
import type { Name } from '#vault/name-table.ts';
import type { VaultReader } from '#vault/records.ts';
import { sweepNoteKey } from '#vault/store/object-names.ts';
import { decodeNotePart, type NoteDraft, type NotePart, newNoteDraft } from './page-note-part.ts';
import { decodeOr, isLockedNote, isWaitingNote, LOCKED_PART, readNote } from './sweep-notes.ts';

/**
 * What pages need, noted by the sweep that read them, so that the next one need not read them again: it then costs what has changed and
 * the lists of pages. Pages never change, and where segments lie changes only by moves: a note is used only where none of its
 * packs has been moved since and all of its moves still stand.
 *
 * Each sweep notes what is new to it. Small notes, and those whose pages have died, are written together anew from time to time.
 */
export interface PageNotes {
  /** Notes of earlier sweeps, one at a time. Those that cannot be read are passed over. */
  read(): AsyncGenerator<ReadPart>;
  /** Notes a page that was read. Throws `store-failed`. */
  add(page: string, packs: Iterable<Name>, moves: Iterable<Name>): Promise<void>;
  /** Writes what is not written yet. Resolves to the keys of notes that are of no use any more. Throws `store-failed`. */
  finish(): Promise<readonly string[]>;
}

export interface ReadPart {
  readonly part: NotePart;
  /** Which of its pages were of use, by 1: whoever reads them says so. */
  readonly used: Uint8Array;
}

/** Bytes of a note's body, before compression: a quarter of what a record may have. */
const FULL_PART = 16 * 1024 * 1024;
/** Notes that are small or mostly dead are written together when there are so many. */
const MOST_POOR_PARTS = 16;
const FIRST_PART = 1;
const LAST_PART = LOCKED_PART - 1;

/** `notes` are the keys that lie there; new ones are written for the journal's entry `position`. */
export function openPageNotes(vault: VaultReader, notes: readonly string[], position: number): PageNotes {
  const poor = new Map<string, Uint8Array>();
  let draft = newNoteDraft();
  let next = FIRST_PART;
  let allWritten = true;

  const write = async (): Promise<void> => {
    const body = draft;
    draft = newNoteDraft();
    if (body.size === 0) return;
    if (next > LAST_PART || !(await writePart(vault, position, next++, body))) allWritten = false;
  };

  const add = async (page: string, packs: Iterable<Name>, moves: Iterable<Name>): Promise<void> => {
    draft.add(page, packs, moves);
    if (draft.size >= FULL_PART) await write();
  };

  return {
    add,
    async *read() {
      poor.clear();
      for (const key of notes.filter((note) => !isWaitingNote(note) && !isLockedNote(note))) {
        const part = (await readPart(vault, key)) ?? EMPTY;
        const used = new Uint8Array(part.pages.length);
        yield { part, used };
        if (isPoor(part, used)) poor.set(key, used);
      }
    },
    async finish() {
      const merged = poor.size > MOST_POOR_PARTS ? [...poor] : [];
      for (const [key, used] of merged) {
        const { packs, moves, pages } = (await readPart(vault, key)) ?? EMPTY;
        for (const [i, page] of pages.entries()) {
          if (used[i] === 1) await add(page.name, namesOf(packs, page.packs), namesOf(moves, page.moves));
        }
      }
      await write();
      return allWritten ? merged.map(([key]) => key) : [];
    },
  };
}

const EMPTY: NotePart = { packs: [], moves: [], pages: [] };

function isPoor({ packs, moves, pages }: NotePart, used: Uint8Array): boolean {
  const numbers = pages.reduce((sum, page) => sum + page.packs.length + page.moves.length, 0);
  const size = (packs.length + moves.length + pages.length) * 32 + numbers * 4;
  return size < FULL_PART / 2 || used.reduce((sum, one) => sum + one, 0) < pages.length / 2;
}

function namesOf(names: readonly string[], numbers: Uint32Array): string[] {
  return Array.from(numbers, (number) => names[number] ?? '');
}

/** Whether it is there, and ours. */
async function writePart(vault: VaultReader, position: number, number: number, draft: NoteDraft): Promise<boolean> {
  const key = sweepNoteKey(position, number);
  const place = { kind: RecordKind.sweepNote, context: key };
  return (await vault.store.create(key, [sealRecord(vault.keyring.newest, place, draft.encode())])) === 'created';
}

/** Undefined where it is of no use: the pages themselves are asked instead. */
async function readPart(vault: VaultReader, key: string): Promise<NotePart | undefined> {
  const body = await readNote(vault, key);
  return body && decodeOr(() => decodeNotePart(body, key));
}
