import { type CopySelection, choosePoints } from '#vault/copies/choose-points.ts';
import { codeOf, EkkoError } from '#vault/errors.ts';
import type { CommittedPoint } from '#vault/journal/state.ts';
import type { CopyRecord } from '../registry/records.ts';
import { type CopyPlace, copyPoint } from './copy-point.ts';

/** Whose turn it is to copy a restore point: copies of all projects take turns in a process. */
export type CopyTurns = <T>(work: () => Promise<T>) => Promise<T>;

export interface PointsToCopy extends CopyPlace {
  /** Undefined: of all. */
  readonly group: string | undefined;
  /** What could not be copied before. */
  readonly failed: CopyRecord['failed'];
  readonly copyTurns: CopyTurns;
}

type Copied = Pick<CopyRecord, 'copied' | 'newest' | 'bytesRead' | 'failed' | 'problem'>;

/** Faults of one point, for which the others need not wait. */
const FAULTS: ReadonlySet<string | undefined> = new Set(['damaged', 'object-missing', 'bad-format', 'point-unknown']);
const MOST_NAMED = 20;

/**
 * Copies the points that the other vault does not have, oldest first: those since the newest of their group that it has, for older ones it
 * may have let go on purpose; and those that could not be copied before, which may have been repaired. What was copied stays, whatever comes
 * then; `problem` says why not all was, but for what was told before: that stays in `failed`.
 */
export async function copyPoints(wanted: PointsToCopy): Promise<Copied> {
  const { source, target, group, failed: before, copyTurns } = wanted;
  const [from, onto] = [await source.vault.journal.refresh(), await target.vault.journal.refresh()];
  const choose = (selection: CopySelection) => choosePoints(source.vault.id, from, onto, selection);
  const all = { group: undefined, last: undefined, again: true } as const;
  // But for those that somebody else has copied, or deleted.
  const missed = new Set(choose({ ...all, only: new Set(before.map(({ point }) => point)) }).map(({ run }) => run));
  const points = choose({ ...all, group, again: false, missed });
  let [copied, bytesRead, newest] = [0, 0, undefined as string | undefined];
  const failed = new Map(before.filter(({ point }) => missed.has(point)).map((each) => [each.point, each]));
  const reportOf = (problem: string | undefined): Copied => ({
    ...{ copied, bytesRead, failed: [...failed.values()].slice(0, MOST_NAMED) },
    ...(newest === undefined ? {} : { newest }),
    ...(problem === undefined ? {} : { problem }),
  });
  for (const point of points) {
    const made = await copyTurns(() => copyOne(wanted, point));
    if ('newest' in made) {
      copied += 1;
      bytesRead += made.bytesRead;
      newest = made.newest;
      failed.delete(point.run);
    } else if (made.only) failed.set(point.run, { point: point.run, message: made.message.slice(0, 300) });
    else return reportOf(`Point ${point.run} was not copied: ${made.message}`.slice(0, 1000));
  }
  const fresh = [...failed.values()].filter(({ point }) => !missed.has(point));
  const [first] = fresh;
  return reportOf(first && `${fresh.length} points cannot be copied, ${first.point} first: ${first.message}`);
}

type Made =
  | { readonly newest: string; readonly bytesRead: number }
  /** `only`: it is the fault of this point alone. */
  | { readonly message: string; readonly only: boolean };

async function copyOne(place: CopyPlace, point: CommittedPoint): Promise<Made> {
  try {
    return await copyPoint(place, point);
  } catch (error) {
    if (!(error instanceof EkkoError)) throw error;
    return { message: error.message, only: FAULTS.has(codeOf(error)) };
  }
}
