import { EkkoError } from '#vault/errors.ts';
import type { VaultState } from '#vault/journal/state.ts';
import { newestPoint, ticketFor } from '#vault/runs.ts';
import type { RunDisk, RunRecord } from '../registry/records.ts';
import type { TenantVault, UploadRight } from '../vaults/tenant-vaults.ts';

/** All that an exporter is given for a member of a run: it can write parts for these disks, and read nothing. Secret. */
export interface MemberTicket {
  readonly run: string;
  /** The vault's id. */
  readonly vault: string;
  readonly epoch: number;
  /** Base64. */
  readonly stagingPublicKey: string;
  readonly disks: readonly DiskTicket[];
  readonly upload: UploadRight;
  readonly quiesce: RunRecord['quiesce'];
  readonly bandwidth?: number;
}

export interface DiskTicket {
  /** The disk's number in the run. */
  readonly index: number;
  /** In the restore point. */
  readonly name: string;
  /** As the exporter itself calls it. */
  readonly source: string;
  /** HPKE pre-shared key, base64. */
  readonly token: string;
  /** The newest restore point that holds the disk. */
  readonly newest?: string;
  /** Bytes that the disk had, by restore point: what a bitmap may count from. */
  readonly known: Readonly<Record<string, number>>;
  /** Name of the manifest that unchanged content is looked for in. */
  readonly lineage?: string;
}

/** A bitmap older than so many points counts from too far back to be worth anything. */
const MOST_KNOWN = 64;

/** The ticket of one member. Throws `not-found` for a server that takes no part, `run-ended` when the journal says so. */
export async function ticketOf(tenant: TenantVault, record: RunRecord, server: string): Promise<MemberTicket> {
  const member = record.members.find((each) => each.server === server);
  if (member === undefined || member.disks.length === 0) {
    throw new EkkoError('not-found', `Server ${server} takes no part in run ${record.run}.`);
  }
  const { vault } = tenant;
  const state = await vault.journal.refresh();
  if (!state.openRuns.has(record.run))
    throw new EkkoError('run-ended', `Run ${record.run} has ended: no ticket is given any more.`);
  const { epoch, staging } = vault.keyring.newest;
  return {
    ...{ run: record.run, vault: vault.id, epoch, stagingPublicKey: staging.publicKey.toString('base64') },
    disks: member.disks.map((disk) => diskTicket(tenant, state, record.run, disk)),
    upload: await tenant.upload(record.run),
    quiesce: record.quiesce,
    ...(record.bandwidth === undefined ? {} : { bandwidth: record.bandwidth }),
  };
}

function diskTicket(
  { vault }: TenantVault,
  state: VaultState,
  run: string,
  { index, name, source }: RunDisk,
): DiskTicket {
  const newest = newestPoint(state, name);
  const lineage = newest?.disks.find((disk) => disk.name === name)?.manifest;
  return {
    ...{
      index,
      name,
      source,
      token: ticketFor(vault, run, index).token.toString('base64'),
      known: knownSizes(state, name),
    },
    ...(newest === undefined ? {} : { newest: newest.run }),
    ...(lineage === undefined ? {} : { lineage }),
  };
}

function knownSizes({ points }: VaultState, name: string): Record<string, number> {
  const known = [...points.values()].flatMap(({ run, disks }) => {
    const size = disks.find((disk) => disk.name === name)?.size;
    return size === undefined ? [] : [[run, size] as const];
  });
  return Object.fromEntries(known.slice(-MOST_KNOWN));
}
