import { EkkoError } from '#vault/errors.ts';
import type { CommittedPoint, ExpiredPoint, VaultState } from '#vault/journal/state.ts';
import { plainText } from '../text/plain-text.ts';
import { type PointArgument, readPointArgument, selectPoint, whatWasFound } from './select-point.ts';

/** The restore points that are meant, each once, in the order given. Throws `bad-input` for a disk of one, `point-unknown`. */
export function selectPoints(state: VaultState, texts: readonly string[]): CommittedPoint[] {
  return eachOnce(texts.map((text) => selectStanding(state, wholePoint(text))));
}

/** The deleted restore points that are meant, each once, in the order given. Throws as `selectPoints`. */
export function selectDeleted(state: VaultState, texts: readonly string[]): ExpiredPoint[] {
  return eachOnce(texts.map((text) => selectOneDeleted(state, wholePoint(text))));
}

/** The restore point that is meant, also a deleted one where no other is; `latest` is never that. Throws as `selectPoint`. */
export function selectEvenDeleted(state: VaultState, argument: PointArgument): CommittedPoint | ExpiredPoint {
  const { point } = argument;
  const found = deletedLike(state, point);
  const stands = [...state.points.keys()].some((run) => run.startsWith(point));
  const [only] = found;
  return point !== 'latest' && !stands && only !== undefined && found.length === 1
    ? only
    : selectPoint(state, argument);
}

function selectStanding(state: VaultState, argument: PointArgument): CommittedPoint {
  const { point } = argument;
  const stands = point === 'latest' || [...state.points.keys()].some((run) => run.startsWith(point));
  const [deleted] = stands ? [] : deletedLike(state, point);
  if (deleted === undefined) return selectPoint(state, argument);
  throw new EkkoError(
    'point-unknown',
    `Restore point ${deleted.run} is deleted. Bring it back with \`ekko undelete\`: see \`ekko points --deleted\`.`,
  );
}

function selectOneDeleted(state: VaultState, { point }: PointArgument): ExpiredPoint {
  const found = deletedLike(state, point);
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  const standing = [...state.points.keys()].find((run) => run.startsWith(point));
  const why =
    found.length === 0 && standing !== undefined
      ? `Restore point ${standing} is not deleted.`
      : `${whatWasFound(point, found, 'deleted restore point')} What is gone for good cannot be brought back.`;
  throw new EkkoError('point-unknown', `${why} See \`ekko points --deleted\`.`);
}

function wholePoint(text: string): PointArgument {
  const argument = readPointArgument(text);
  if (argument.disk === undefined) return argument;
  throw new EkkoError(
    'bad-input',
    `"${plainText(text, 60)}" names one disk: restore points are held and deleted whole.`,
  );
}

function deletedLike({ expired }: VaultState, point: string): ExpiredPoint[] {
  return [...expired.values()].filter(({ run }) => run.startsWith(point));
}

function eachOnce<T extends { readonly run: string }>(points: readonly T[]): T[] {
  return [...new Map(points.map((point) => [point.run, point])).values()];
}
