import { join } from 'node:path';
import type { RequestCount } from '#vault/store/counted-store.ts';
import type { EkkoVault } from './ekko.ts';
import type { FirstBackups } from './first-backups.ts';
import { secondsOf } from './full.ts';
import { openGuestDisk } from './guest-disk.ts';
import { type Lab, measureOnce, type Trial } from './lab.ts';
import type { Measured } from './process.ts';
import { applyWrites, type RandomWrite, randomWrites } from './random-writes.ts';
import type { Repository } from './repository.ts';
import { countGuestRequests } from './requests.ts';
import { atLeast, atMost, type Row, shown } from './row.ts';

export const WRITES = 1000;
const MOST_STORED = 45 * 2 ** 20;

export interface Incrementals {
  readonly ekko: Trial<EkkoVault>;
  readonly peers: readonly Trial[];
  /** The full backup that they count from, over the same socket. */
  readonly full: Measured;
  readonly requests: readonly RequestCount[];
}

/** Changes the disk of a running QEMU and, equally, the image that the peers read; then backs up what changed. */
export async function incrementals(lab: Lab, first: FirstBackups): Promise<Incrementals> {
  const guest = await openGuestDisk(join(lab.folder, 'guest'), lab.image.path);
  const repository = await lab.ekko.create(join(lab.folder, 'ekko-guest'));
  const full = await measureOnce(lab, 'ekko: full backup through QEMU', () => repository.backUpGuest(guest.qmpSocket));
  const ekko: Trial<EkkoVault> = { repository, measured: [], storedBytes: 0 };
  const peers: Trial[] = first.peers.map((peer) => ({ repository: peer.repository, measured: [], storedBytes: 0 }));
  for (let run = 0; run < lab.runs; run++) {
    const writes = randomWrites(`run ${run}`, WRITES, lab.image.size);
    await guest.write(writes);
    await measureGrowth(lab, ekko, () => repository.backUpGuest(guest.qmpSocket));
    await backUpChanged(lab, peers, writes, `run-${run}`);
  }
  await guest.write(randomWrites('requests', WRITES, lab.image.size));
  const requests = await countGuestRequests(lab, 'incremental backup', repository, guest.qmpSocket);
  await guest.end();
  await repository.remove();
  return { ekko, peers, full, requests };
}

/** The image is afterwards as it was. */
async function backUpChanged(lab: Lab, peers: readonly Trial[], writes: readonly RandomWrite[], label: string) {
  const takeBack = await applyWrites(lab.image.path, writes);
  try {
    for (const peer of peers) {
      await measureGrowth(lab, peer, () => peer.repository.backUp(label, lab.image.path));
    }
  } finally {
    await takeBack();
  }
}

async function measureGrowth(lab: Lab, trial: Trial<Repository>, backUp: () => Promise<Measured>): Promise<void> {
  const before = await trial.repository.stored();
  trial.measured.push(await measureOnce(lab, `${trial.repository.name}: incremental backup`, backUp));
  trial.storedBytes = (await trial.repository.stored()) - before;
}

export function incrementalRows({ ekko, peers, full }: Incrementals): Row[] {
  const seconds = secondsOf(ekko);
  const restic = peers.find(({ repository }) => repository.name === 'restic');
  return [
    shown('incremental.full-through-qemu.wall', full.seconds, 's'),
    atMost('incremental.wall', seconds, 's', 2),
    ...(restic ? [atLeast('incremental.times-faster-than-restic', secondsOf(restic) / seconds, 'x', 15)] : []),
    atMost('incremental.stored', ekko.storedBytes, 'B', MOST_STORED),
    ...peers.flatMap((peer) => [
      shown(`incremental.${peer.repository.name}.wall`, secondsOf(peer), 's'),
      shown(`incremental.${peer.repository.name}.stored`, peer.storedBytes, 'B'),
    ]),
  ];
}
