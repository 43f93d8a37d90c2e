import { randomBytes } from 'node:crypto';
import { codeOf } from '#vault/errors.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { type Finding, findingOf } from './finding.ts';

/** Where scratch objects lie while a store is probed. */
const SCRATCH = 'probe/';
/** Writers that race for one name, and how often. */
const RACES = [
  { writers: 8, rounds: 8 },
  { writers: 32, rounds: 4 },
] as const;

/** Where the journal of the vault lies, or shall lie. */
export type JournalPlace = 'objects' | 'sql';

/**
 * Tries on scratch keys what a vault relies on: ranges, listings that show what was written, removal; and that a name is given away
 * once, without which its journal cannot lie in the store. The scratch objects are removed, those of a probe that died before too.
 */
export async function probeStore(store: ObjectStore, journal: JournalPlace = 'objects'): Promise<Finding[]> {
  const folder = `${SCRATCH}${randomBytes(8).toString('hex')}/`;
  const findings: Finding[] = [];
  try {
    for (const race of RACES) {
      const subject = `${race.writers} writers`;
      const prefix = `${folder}race-${race.writers}-`;
      findings.push(await findingOf(subject, () => raceWriters(store, prefix, race, journal)));
    }
    findings.push(await findingOf('read a range', () => readRange(store, `${folder}range`)));
    findings.push(await findingOf('list', () => listAfterWrite(store, `${folder}list/`)));
  } finally {
    findings.push(await findingOf('remove', () => removeAll(store)));
  }
  return findings;
}

async function raceWriters(
  store: ObjectStore,
  prefix: string,
  { writers, rounds }: (typeof RACES)[number],
  journal: JournalPlace,
): Promise<Omit<Finding, 'subject'>> {
  let broken = 0;
  for (let round = 0; round < rounds; round++) {
    if (!(await oneWinner(store, `${prefix}${round}`, writers))) broken++;
  }
  const races = `${rounds} races for one name`;
  if (broken === 0) {
    const kept = journal === 'objects' ? ': the journal can lie in the store itself' : '';
    return { verdict: 'ok', found: `${races}, one winner each${kept}` };
  }
  const found = `${broken} of ${races} had no single winner`;
  return journal === 'sql'
    ? { verdict: 'note', found, advice: 'Two writers can get one name: so the journal lies in a SQL table.' }
    : { verdict: 'wrong', found, advice: NEEDS_SQL };
}

const NEEDS_SQL = 'Two writers can get one name: the journal must lie in a SQL table. Name one by --journal-file.';

async function oneWinner(store: ObjectStore, key: string, writers: number): Promise<boolean> {
  const bodies = Array.from({ length: writers }, () => randomBytes(64));
  const answers = await Promise.all(bodies.map((body) => store.create(key, [body], { durable: false })));
  const winners = bodies.filter((_, at) => answers[at] === 'created');
  const found = await store.get(key);
  // There is none where the answer to the winner was lost, and its second try met its own object.
  return winners.length <= 1 && (winners.length === 1 ? winners : bodies).some((body) => body.equals(found));
}

async function readRange(store: ObjectStore, key: string) {
  const body = randomBytes(4096);
  await store.create(key, [body.subarray(0, 1000), body.subarray(1000)]);
  const found = await store.get(key, { start: 900, end: 1100 });
  const same = found.equals(body.subarray(900, 1100));
  return same
    ? ({ verdict: 'ok', found: 'gives the bytes that were written' } as const)
    : ({ verdict: 'wrong', found: 'gives other bytes than were written', advice: WRONG_BYTES } as const);
}

const WRONG_BYTES = 'Do not keep a vault here. If the disk is old, look at the kernel log.';
const LISTED = 20;

async function listAfterWrite(store: ObjectStore, prefix: string) {
  const keys = Array.from({ length: LISTED }, (_, at) => `${prefix}${String(at).padStart(2, '0')}`);
  await Promise.all(keys.map((key) => store.create(key, [Buffer.from(key)], { durable: false })));
  const listed = (await Array.fromAsync(store.list(prefix))).map(({ key }) => key);
  if (listed.join() === keys.join()) return { verdict: 'ok', found: 'shows what was just written, in order' } as const;
  // Events and listings are for speed and clean-up only.
  return { verdict: 'note', found: `shows ${listed.length} of ${keys.length} objects that were just written` } as const;
}

async function removeAll(store: ObjectStore) {
  const keys = (await Array.fromAsync(store.list(SCRATCH))).map(({ key }) => key);
  await store.remove(keys);
  const [left] = keys.slice(-1);
  if (left === undefined || (await isGone(store, left)))
    return { verdict: 'ok', found: 'what is removed is gone' } as const;
  return {
    verdict: 'wrong',
    found: 'what is removed is still there',
    advice: 'Look at the rights of the store.',
  } as const;
}

async function isGone(store: ObjectStore, key: string): Promise<boolean> {
  try {
    await store.get(key);
    return false;
  } catch (error) {
    if (codeOf(error) === 'object-missing') return true;
    throw error;
  }
}
