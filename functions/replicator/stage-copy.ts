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
  /** The right to stage its disks in a run of the other vault, and what that vault holds of them. */
  readonly ticket: ServerTicket;
  /** By the disk's name. */
  readonly earlier: ReadonlyMap<string, EarlierCopy>;
  readonly staging: Pick<ObjectStore, 'create'>;
}

/**
 * Stages a restore point of the vault as sealed parts of a run of another vault, as an exporter stages a guest: with the right to write
 * there and nothing else. Answers how many bytes of disk were read. Throws `point-unknown`, and what reading and the store throw.
 */
export async function stageCopy(vault: Vault, { point, ticket, earlier, staging }: StagedCopy): Promise<number> {
  const source = await openVaultSource({ vault, point, earlier });
  const pointsOf = (name: string) => ticket.disks.find((disk) => disk.name === name)?.points ?? [];
  const moment = await source.take({
    run: ticket.run,
    known: (run, disk) => pointsOf(disk).find((each) => each.run === run)?.size,
    newest: (disk) => pointsOf(disk)[0]?.run,
    ...{ readAll: undefined, quiesce: 'never', auditShare: 0 },
  });
  let bytesRead = 0;
  for (const [index, { disk, base }] of moment.plans.entries()) {
    const own = ticket.disks.find(({ name }) => name === disk.name);
    if (own === undefined) throw new EkkoError('disk-unknown', `The run has no disk ${disk.name} of point ${point}.`);
    await exportDisk(moment, index, diskTicket(ticket, own), lineageOf(own, base), {
      ...{ staging, bandwidth: ticket.bandwidth, partSegments: SEGMENTS_PER_PART },
      notice: async () => undefined,
      progress: (bytes) => {
        bytesRead += bytes;
      },
    });
  }
  return bytesRead;
}

/** What unchanged content is looked for in: the point counted from, else the newest. */
function lineageOf({ points }: TicketDisk, base: string | undefined): string | undefined {
  return (points.find(({ run }) => run === base) ?? points[0])?.manifest;
}
