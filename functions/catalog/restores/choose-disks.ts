import { EkkoError } from '#vault/errors.ts';
import type { PointDisk, RestorePoint } from '#vault/format/point.ts';
import type { CommittedPoint } from '#vault/journal/state.ts';
import { readPoint } from '#vault/records.ts';
import type { Vault } from '#vault/vault.ts';

export interface PointWish {
  /** Id of a point, or `latest`. */
  readonly point: string;
  /** Of `latest`: the policy whose newest point is meant. */
  readonly group?: string;
}

/** The point that is meant, with its topology; also one that has expired. Throws `point-unknown`, `bad-input`, and what reading records throws. */
export async function choosePoint(vault: Vault, wish: PointWish): Promise<RestorePoint> {
  const { points, expired } = await vault.journal.refresh();
  const found = wish.point === 'latest' ? newestOf([...points.values()], wish.group) : points.get(wish.point);
  const committed = found ?? expired.get(wish.point);
  if (committed !== undefined) return readPoint(vault, committed.point);
  const what = wish.point === 'latest' ? `of policy ${wish.group}` : JSON.stringify(wish.point.slice(0, 80));
  throw new EkkoError('point-unknown', `There is no restore point ${what} in this vault.`);
}

function newestOf(points: readonly CommittedPoint[], group: string | undefined): CommittedPoint | undefined {
  if (group === undefined) throw new EkkoError('bad-input', 'The latest point of which policy? Name it as group.');
  return points.findLast((point) => point.group === group);
}

export interface DisksWish {
  /** All disks of this server. */
  readonly server?: string | undefined;
  /** Only these, by their names in the point; with a server, also without its id in front. */
  readonly disks?: readonly string[] | undefined;
}

/** A restore is watched, and shown, as a whole. */
const MOST_DISKS = 64;

/** The disks that are meant, in the order of the point. Throws `not-found` for what the point does not hold, and `bad-input`. */
export function chooseDisks({ id, disks }: RestorePoint, { server, disks: names }: DisksWish): readonly PointDisk[] {
  const there = server === undefined ? disks : disks.filter(({ name }) => name.startsWith(`${server}/`));
  if (there.length === 0) throw new EkkoError('not-found', `Point ${id} holds no server ${server}.`);
  const wanted = names?.map((name) => findDisk(id, there, name, server));
  const chosen = wanted === undefined ? there : there.filter((disk) => wanted.includes(disk));
  if (chosen.length <= MOST_DISKS) return chosen;
  const advice = `one restore takes ${MOST_DISKS}. Name a server, or disks`;
  throw new EkkoError('bad-input', `Point ${id} holds ${chosen.length} such disks; ${advice}.`);
}

function findDisk(point: string, disks: readonly PointDisk[], name: string, server: string | undefined): PointDisk {
  const found = disks.find((disk) => disk.name === name || (server !== undefined && disk.name === `${server}/${name}`));
  if (found !== undefined) return found;
  throw new EkkoError('not-found', `Point ${point} holds no disk ${JSON.stringify(name.slice(0, 120))}.`);
}
