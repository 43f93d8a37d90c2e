import { EkkoError } from '#vault/errors.ts';
import { digestInName } from '#vault/images.ts';
import type { CommittedPoint, VaultState } from '#vault/journal/state.ts';
import { plainText } from '../text/plain-text.ts';

/** `POINT` or `POINT/DISK`. */
export interface PointArgument {
  /** An id, the beginning of one, or `latest`. */
  readonly point: string;
  readonly disk: string | undefined;
}

/** The disk's name is all that stands behind the first `/`. Throws `bad-input` when one of the two is empty. */
export function readPointArgument(text: string): PointArgument {
  const at = text.indexOf('/');
  const point = at === -1 ? text : text.slice(0, at);
  const disk = at === -1 ? undefined : text.slice(at + 1);
  if (point !== '' && disk !== '') return { point, disk };
  throw new EkkoError('bad-input', `"${plainText(text, 60)}" names no restore point: give POINT or POINT/DISK.`);
}

/**
 * The restore point that is meant. `latest` is the newest that holds the disk, where one is named; else that of an image is passed over. Throws `point-unknown` when
 * there is none, or more than one begins like that.
 */
export function selectPoint(state: VaultState, { point, disk }: PointArgument): CommittedPoint {
  const points = [...state.points.values()];
  if (points.length === 0) throw new EkkoError('point-unknown', 'The vault has no restore point yet.');
  if (point === 'latest') return latest(points, disk);
  const found = points.filter(({ run }) => run.startsWith(point));
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  throw new EkkoError('point-unknown', `${whatWasFound(point, found)} See \`ekko points\`.`);
}

function latest(points: readonly CommittedPoint[], disk: string | undefined): CommittedPoint {
  const holds = ({ disks }: CommittedPoint) =>
    disk === undefined ? !disks.every(({ name }) => isImage(name)) : disks.some(({ name }) => name === disk);
  const found = points.findLast(holds);
  if (found) return found;
  throw new EkkoError(
    'disk-unknown',
    `No restore point holds a disk "${plainText(disk ?? '', 60)}". See \`ekko points\`.`,
  );
}

function isImage(disk: string): boolean {
  return digestInName(disk) !== undefined;
}

/** Why `point` means none of several points, or none at all. */
export function whatWasFound(
  point: string,
  found: readonly Pick<CommittedPoint, 'run'>[],
  kind = 'restore point',
): string {
  const shown = plainText(point, 40);
  if (found.length === 0) return `There is no ${kind} "${shown}".`;
  const ids = found.slice(0, 3).map(({ run }) => run);
  return `"${shown}" may be any of ${found.length} ${kind}s: ${ids.join(', ')}${found.length > 3 ? ', …' : ''}.`;
}

/** The disks of a point that are meant: all, or the one named. Throws `disk-unknown` listing those that there are. */
export function selectDisks<T extends { readonly name: string }>(
  point: { readonly id: string; readonly disks: readonly T[] },
  disk: string | undefined,
): readonly T[] {
  const found = disk === undefined ? point.disks : point.disks.filter(({ name }) => name === disk);
  if (found.length > 0) return found;
  const there = point.disks.map(({ name }) => plainText(name, 40)).join(', ');
  throw new EkkoError(
    'disk-unknown',
    `Point ${point.id} has no disk "${plainText(disk ?? '', 60)}". It has: ${plainText(there, 400)}.`,
  );
}
