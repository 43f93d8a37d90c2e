import { EkkoError } from '#vault/errors.ts';
import { encodeTicket, serverTicket } from '#vault/export-ticket.ts';
import type { RunRecord } from '../registry/records.ts';
import type { TenantVault } from '../vaults/tenant-vaults.ts';

/**
 * All that an exporter is given for a member of a run, as JSON: it can write parts for these disks, and read nothing; where the policy says so,
 * ask which segments that it has the vault has too. Secret.
 * `distrusted`: the exporter is not to count from its bitmaps. Throws `not-found` for a server that takes no part, `run-ended` when the
 * journal says so.
 */
export async function ticketOf(
  tenant: TenantVault,
  record: RunRecord,
  server: string,
  distrusted: boolean,
): Promise<object> {
  const member = record.members.find((each) => each.server === server);
  if (member === undefined || member.disks.length === 0) {
    throw new EkkoError('not-found', `Server ${server} takes no part in run ${record.run}.`);
  }
  const { vault } = tenant;
  const open = (await vault.journal.refresh()).openRuns.get(record.run);
  if (open === undefined) {
    throw new EkkoError('run-ended', `Run ${record.run} has ended: no ticket is given any more.`);
  }
  const { quiesce, bandwidth, sourceDedupe = false } = record;
  const indexes = member.disks.map(({ index }) => index);
  const ticket = serverTicket(
    vault,
    record.run,
    open.disks,
    indexes,
    {
      ...{ upload: await tenant.upload(record.run), quiesce, bandwidth, sourceDedupe },
      readAll: distrusted ? 'bitmap-distrusted' : undefined,
    },
    new Map(member.disks.flatMap(({ index, image }) => (image ? [[index, image]] : []))),
  );
  return encodeTicket(ticket);
}
