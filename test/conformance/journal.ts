import { describe, expect, test } from 'vitest';
import { LARGEST_ENTRY } from '#vault/format/journal-entry.ts';
import type { Journal } from '#vault/journal/journal.ts';

export interface JournalUnderTest {
  /** Handles onto one empty journal; each call gives another, as another process would have it. */
  open(): Journal | Promise<Journal>;
  /** Takes an entry away, as damage does. */
  lose(position: number): Promise<unknown>;
  close?(): Promise<void>;
}

export interface JournalSuite {
  /** Positions that writers race for. */
  readonly races?: number;
  readonly skip?: boolean;
}

/** What every implementation of `Journal` must keep. `make` gives a new, empty journal. */
export function journalConformance(
  name: string,
  make: () => JournalUnderTest | Promise<JournalUnderTest>,
  { races = 10, skip = false }: JournalSuite = {},
): void {
  type Check = (open: () => Promise<Journal>, subject: JournalUnderTest) => Promise<void>;
  const keeps = (promise: string, check: Check) =>
    test(promise, async () => {
      const subject = await make();
      try {
        await check(async () => subject.open(), subject);
      } finally {
        await subject.close?.();
      }
    });

  describe.skipIf(skip)(`journal: ${name}`, () => {
    keeps('an empty journal reads as nothing', async (open) => {
      const journal = await open();
      expect(await readAll(journal, 1)).toEqual([]);
      expect(await readAll(journal, 7)).toEqual([]);
    });

    keeps('what was appended is read back byte for byte, in order', async (open) => {
      const journal = await open();
      const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
      const entries = [every, Buffer.from("a'b\\"), Buffer.alloc(LARGEST_ENTRY, 0xa5), Buffer.alloc(0)];
      await fill(journal, entries);
      const found = await readAll(await open(), 1);
      expect(found.map(([position]) => position)).toEqual([1, 2, 3, 4]);
      expect(found.every(([, bytes], i) => entries[i]?.equals(bytes))).toBe(true);
    });

    keeps('a taken position answers exists and keeps its first bytes', async (open) => {
      const journal = await open();
      expect(await journal.append(1, Buffer.from('first'))).toBe('created');
      expect(await (await open()).append(1, Buffer.from('second'))).toBe('exists');
      expect(await journal.append(1, Buffer.from('first'))).toBe('exists');
      expect(await texts(journal, 1)).toEqual([[1, 'first']]);
    });

    keeps('reading begins at the position asked for', async (open) => {
      const journal = await open();
      await fill(journal, numbered(120));
      const found = await texts(journal, 33);
      expect(found).toEqual(Array.from({ length: 88 }, (_, i) => [i + 33, `entry ${i + 33}`]));
      expect(await texts(journal, 121)).toEqual([]);
    });

    keeps('a reader sees what another handle appended before', async (open) => {
      const [writer, reader] = [await open(), await open()];
      for (let position = 1; position <= 5; position++) {
        await writer.append(position, Buffer.from(`entry ${position}`));
        expect((await texts(reader, position)).length).toBe(1);
      }
    });

    keeps('a reader may stop early', async (open) => {
      const journal = await open();
      await fill(journal, numbered(40));
      for await (const { position } of journal.read(2)) {
        expect(position).toBe(2);
        break;
      }
      expect((await readAll(journal, 1)).length).toBe(40);
    });

    keeps('what is appended is not changed by the caller changing its buffer afterwards', async (open) => {
      const journal = await open();
      const bytes = Buffer.from('as given');
      await journal.append(1, bytes);
      bytes.fill(0);
      expect(await texts(journal, 1)).toEqual([[1, 'as given']]);
    });

    for (const writers of [2, 8, 32]) {
      keeps(`of ${writers} writers racing for a position exactly one wins, and its bytes stand`, async (open) => {
        const reader = await open();
        const handles = await Promise.all(Array.from({ length: writers }, open));
        for (let position = 1; position <= races; position++) {
          const answers = await Promise.all(
            handles.map((handle, i) => handle.append(position, Buffer.from(`by ${i}`))),
          );
          expect(answers.filter((answer) => answer === 'created')).toHaveLength(1);
          expect(await texts(reader, position)).toEqual([[position, `by ${answers.indexOf('created')}`]]);
        }
        expect(await texts(await open(), 1)).toHaveLength(races);
      });
    }

    keeps('a missing entry before a later one is a gap, named by its position', async (open, { lose }) => {
      const journal = await open();
      await fill(journal, numbered(5));
      await lose(4);
      await expect(readAll(journal, 1)).rejects.toMatchObject({ code: 'journal-broken', message: /0*4 is missing/ });
      await expect(readAll(journal, 4)).rejects.toMatchObject({ code: 'journal-broken' });
      expect(await texts(journal, 5)).toEqual([[5, 'entry 5']]);
    });

    for (const position of [0, -1, 1.5, Number.NaN, 2 ** 53]) {
      keeps(`${position} is refused as a position`, async (open) => {
        const journal = await open();
        await expect(journal.append(position, Buffer.from('x'))).rejects.toMatchObject({ code: 'bad-input' });
        await expect((async () => readAll(journal, position))()).rejects.toMatchObject({ code: 'bad-input' });
      });
    }
  });
}

function numbered(count: number): Buffer[] {
  return Array.from({ length: count }, (_, i) => Buffer.from(`entry ${i + 1}`));
}

async function fill(journal: Journal, entries: readonly Buffer[]): Promise<void> {
  for (const [i, bytes] of entries.entries()) expect(await journal.append(i + 1, bytes)).toBe('created');
}

async function readAll(journal: Journal, from: number): Promise<[number, Buffer][]> {
  const found: [number, Buffer][] = [];
  for await (const { position, bytes } of journal.read(from)) found.push([position, bytes]);
  return found;
}

async function texts(journal: Journal, from: number): Promise<[number, string][]> {
  return (await readAll(journal, from)).map(([position, bytes]) => [position, bytes.toString()]);
}
