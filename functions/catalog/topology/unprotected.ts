import type { Unprotected } from '#vault/format/topology.ts';
import type { MemberServer } from '../group/find-disks.ts';
import type { Warning } from '../group/resolve-group.ts';

/** What belongs to a group and is not protected now, from the warnings of its resolution. */
export function unprotectedIn(members: readonly MemberServer[], warnings: readonly Warning[]): Unprotected[] {
  const names = new Map(members.map(({ server, name }) => [server, name]));
  return warnings.map(({ server, volume, message }) => ({
    ...{ server, name: names.get(server) ?? server },
    ...(volume === undefined ? {} : { volume }),
    why: message,
  }));
}
