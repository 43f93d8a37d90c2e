import { EkkoError } from '#vault/errors.ts';
import { ID_SIZE } from '#vault/format/pack.ts';
import { SEGMENTS_PER_PART } from '#vault/words.ts';
import type { RunRecord } from '../registry/records.ts';
import type { ActiveRun } from './open-runs.ts';

/** What an exporter asks about segments that it has: see `VaultQuestion`. */
export interface KnownQuestion {
  readonly disk: number;
  readonly lineage?: string;
  readonly runs: readonly (readonly [first: number, count: number])[];
  readonly ids: string;
  readonly packs: readonly string[];
}

/** `known`: for each segment the place of its pack in `packs`, from 1; 0 where the vault is not known to have it. */
export interface KnownAnswer {
  readonly packs: readonly string[];
  readonly known: readonly number[];
}

/**
 * Says which segments the vault has, to who has them too. Throws `forbidden` where the run's policy does not allow it, `not-found` for a disk
 * that is not the server's in this run, `bad-input` for a question that does not add up.
 */
export async function knownSegments(
  { tenant: { vault }, known }: ActiveRun,
  record: RunRecord,
  server: string,
  { disk, lineage, runs, ids, packs }: KnownQuestion,
): Promise<KnownAnswer> {
  if (record.sourceDedupe !== true)
    throw new EkkoError('forbidden', `The policy of run ${record.run} does not allow to ask what its vault has.`);
  const member = record.members.find((each) => each.server === server);
  if (!member?.disks.some(({ index }) => index === disk))
    throw new EkkoError('not-found', `Server ${server} has no disk ${disk} in run ${record.run}.`);
  const { condemned, moved, damaged } = await vault.journal.refresh();
  const useless = (pack: string) => condemned.has(pack) || moved.has(pack) || damaged.has(pack);
  const wanted = readIds(ids);
  const knowledge = await known.look(
    {
      ...{ segments: [], ids: wanted, epoch: vault.keyring.newest.epoch, lineage, packs },
      runs: checkedRuns(runs, wanted.length),
    },
    useless,
  );
  const numbers = new Map<string, number>();
  const answers = wanted.map((_, i) => knowledge.find(i, undefined)?.pack).map((pack) => numberOf(numbers, pack));
  return { packs: [...numbers.keys()], known: answers };
}

function numberOf(numbers: Map<string, number>, pack: string | undefined): number {
  if (pack === undefined) return 0;
  const number = numbers.get(pack) ?? numbers.size + 1;
  numbers.set(pack, number);
  return number;
}

function readIds(text: string): Buffer[] {
  const bytes = Buffer.from(text, 'base64');
  const count = bytes.length / ID_SIZE;
  if (!Number.isInteger(count) || count < 1 || count > SEGMENTS_PER_PART) {
    throw new EkkoError(
      'bad-input',
      `ids has ${bytes.length} bytes: 32 for each segment, at most ${SEGMENTS_PER_PART}.`,
    );
  }
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * ID_SIZE, (i + 1) * ID_SIZE));
}

function checkedRuns(runs: KnownQuestion['runs'], segments: number): { first: number; count: number }[] {
  let free = 0;
  let sum = 0;
  for (const [first, count] of runs) {
    if (first < free || count < 1 || first + count > 0xffff_ffff)
      throw new EkkoError('bad-input', `runs names segments ${first}+${count} after segment ${free}.`);
    free = first + count;
    sum += count;
  }
  if (sum !== segments) throw new EkkoError('bad-input', `runs has ${sum} segments, ids has ${segments}.`);
  return runs.map(([first, count]) => ({ first, count }));
}
