import { randomBytes } from 'node:crypto';
import { createSqlJournal } from '#vault/journal/sql-journal.ts';
import { type JournalTable, openJournalTable } from '#vault/journal/sql-table.ts';
import { readJournalFile, type SqlAddress } from '#vault/sql/sql-address.ts';
import { type Finding, findingOf } from './finding.ts';

/** Each over a connection of its own; a database may not have many to spare. */
const WRITERS = 8;
const POSITIONS = 8;

/**
 * Tries on a scratch vault what a SQL journal relies on: a position is given away once, and entries are read back. Its rows are removed.
 * What is wrong, with the journal file too, is a finding.
 */
export async function probeJournal(journalFile: string): Promise<Finding[]> {
  let address: SqlAddress | undefined;
  const server = await findingOf('SQL journal', async () => {
    address = await readJournalFile(journalFile);
    return describeServer(address);
  });
  if (address === undefined || server.verdict === 'wrong') return [server];
  const race = await raceWriters(address);
  return [server, ...race];
}

async function describeServer(address: SqlAddress): Promise<Omit<Finding, 'subject'>> {
  const table = openJournalTable(address);
  try {
    const { product, doubts } = await table.describe();
    const found = `${product}, ${table.url}`;
    if (doubts.length === 0) return { verdict: 'ok', found };
    const advice =
      'After a crash of the server it may have lost the last entries; Ekko would notice, and wait for a person.';
    return { verdict: 'note', found: `${found}: ${doubts.join('; ')}`, advice };
  } finally {
    await table.close();
  }
}

async function raceWriters(address: SqlAddress): Promise<Finding[]> {
  const scratch = `probe${randomBytes(16).toString('hex')}`.slice(0, 32);
  const tables = Array.from({ length: WRITERS }, () => openJournalTable(address));
  try {
    const race = await findingOf(`${WRITERS} SQL writers`, () => raceFor(tables, scratch));
    return [race, await findingOf('SQL clean-up', () => cleanUp(tables, scratch))];
  } finally {
    await Promise.all(tables.map((table) => table.close()));
  }
}

async function raceFor(tables: readonly JournalTable[], scratch: string): Promise<Omit<Finding, 'subject'>> {
  const journals = tables.map((table) => createSqlJournal(table, scratch));
  const winners: Buffer[] = [];
  for (let position = 1; position <= POSITIONS; position++) {
    const bodies = journals.map(() => randomBytes(64));
    const answers = await Promise.all(
      journals.map((journal, i) => journal.append(position, bodies[i] ?? randomBytes(1))),
    );
    winners.push(...bodies.filter((_, i) => answers[i] === 'created'));
  }
  const read = (await Array.fromAsync(journals[0]?.read(1) ?? [])).map(({ bytes }) => bytes);
  const right = winners.length === POSITIONS && Buffer.concat(read).equals(Buffer.concat(winners));
  const races = `${POSITIONS} races for one position`;
  if (right) return { verdict: 'ok', found: `${races}, one winner each: the journal can lie in this table` };
  return {
    verdict: 'wrong',
    found: `${races} had ${winners.length} winners, and ${read.length} entries were read back`,
    advice: 'This database cannot keep a journal. Name the server that takes writes, without a proxy in between.',
  };
}

async function cleanUp([table]: readonly JournalTable[], scratch: string): Promise<Omit<Finding, 'subject'>> {
  try {
    await table?.remove(scratch);
    return { verdict: 'ok', found: 'the scratch rows are gone' };
  } catch (error) {
    const found = `the scratch rows of ${scratch} stay: ${error instanceof Error ? error.message : String(error)}`;
    return {
      verdict: 'note',
      found,
      advice: 'Nothing relies on it: a user without the right to delete keeps a journal all the safer.',
    };
  }
}
