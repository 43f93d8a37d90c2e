import type { EarlierCopy } from '#vault/copies/earlier-copies.ts';
import { EkkoError } from '#vault/errors.ts';
import { diskTicket, type ServerTicket, type TicketDisk } from '#vault/export-ticket.ts';
import { exportDisk } from '#vault/staging/export-disk.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import type { Vault } from '#vault/vault.ts';
import { SEGMENTS_PER_PART } from '#vault/words.ts';
import { openVaultSource } from './vault-source.ts';

export interface StagedCopy {
  /** The restore point to copy, by run. */
  readonly point: string;
  /** The disk of it to copy. */
  readonly disk: string;
  /** The right to stage it in a run of the other vault, and what that vault holds of it. */
  readonly ticket: ServerTicket;
  /** What the copy can count from. */
  readonly earlier: EarlierCopy | undefined;
  readonly staging: Pick<ObjectStore, 'create'>;
}

/**
 * Stages a disk of a restore point of the vault as sealed parts of a run of another vault, as an exporter stages a guest's: with the right to
 * write there and nothing else. Answers how many bytes of it were read. Throws `point-unknown`, `disk-unknown`, and what reading and the store throw.
 */
export async function stageCopy(vault: Vault, { point, disk, ticket, earlier, staging }: StagedCopy): Promise<number> {
  const named = new Map(earlier === undefined ? [] : [[disk, earlier]]);
  const source = await openVaultSource({ vault, point, disk, earlier: named });
  const own = ticket.disks.find(({ name }) => name === disk);
  if (own === undefined) throw new EkkoError('disk-unknown', `The ticket of the copy is not for disk ${disk}.`);
  const moment = await source.take({
    run: ticket.run,
    known: (run) => own.points.find((each) => each.run === run)?.size,
    newest: () => own.points[0]?.run,
    ...{ readAll: undefined, quiesce: 'never', auditShare: 0 },
  });
  let bytesRead = 0;
  await exportDisk(moment, 0, diskTicket(ticket, own), lineageOf(own, moment.plans[0]?.base), {
    ...{ staging, bandwidth: ticket.bandwidth, partSegments: SEGMENTS_PER_PART },
    notice: async () => undefined,
    progress: (bytes) => {
      bytesRead += bytes;
    },
  });
  return bytesRead;
}

/** What unchanged content is looked for in: the point counted from, else the newest. */
function lineageOf({ points }: TicketDisk, base: string | undefined): string | undefined {
  return (points.find(({ run }) => run === base) ?? points[0])?.manifest;
}
