import type { EkkoError } from '#vault/errors.ts';
import { type NbdClient, openNbd } from '../qemu/nbd-client.ts';
import { isQemuGone, type QmpClient } from '../qemu/qmp-client.ts';
import { removeBitmaps } from './bitmaps.ts';
import type { DiskPlan, HeldMoment, MomentRequest } from './changed-block-source.ts';
import { removeOwnParts, resumeAfterIoError } from './clean-up.ts';
import { CHANGES_CONTEXT, type FleecedDisk } from './fleecing.ts';
import { ALLOCATION_CONTEXT, planChanges, planFull } from './plan-disk.ts';
import type { QemuSettings } from './qemu-settings.ts';
import type { Quiesced } from './quiesce.ts';
import { bytesInside } from './read-span.ts';
import type { ScratchArea } from './scratch.ts';
import { guardScratch, type ScratchGuard } from './scratch-guard.ts';
import { toSourceDisk } from './select-disks.ts';

/** What the parts of one guest's source hold together. */
export interface GuestContext {
  readonly settings: QemuSettings;
  readonly area: ScratchArea;
  /** The monitor, connected anew when the connection was lost. */
  monitor(): Promise<QmpClient>;
}

/** A moment that QEMU has begun and exports. */
export interface TakenMoment {
  readonly request: MomentRequest;
  readonly fleeced: readonly FleecedDisk[];
  /** Name of the run's own bitmap. */
  readonly bitmap: string;
  readonly wasRunning: boolean;
  readonly quiesced: Quiesced<Date>;
}

export interface QemuMoment extends HeldMoment {
  /** False once it has ended. */
  readonly held: boolean;
  /** Also `undecided`: everything but the bitmaps goes, and the next moment judges them by what the vault knows. */
  end(outcome: 'committed' | 'abandoned' | 'undecided'): Promise<void>;
}

/** Plans the moment's reads and guards it until its end. When that fails nothing is left open but what QEMU holds. */
export async function openMoment(guest: GuestContext, qmp: QmpClient, taken: TakenMoment): Promise<QemuMoment> {
  const guard = guardScratch(qmp, guest.area, guest.settings, taken.wasRunning);
  const clients: NbdClient[] = [];
  try {
    const plans = await planAll(guest, taken, clients);
    return createMoment(guest, taken, { guard, clients, plans });
  } catch (error) {
    await guard.stop();
    await Promise.all(clients.map((client) => client.close()));
    throw guard.broken() ?? error;
  }
}

/** Opens one connection a disk, kept in `clients` as soon as it is open. */
async function planAll(guest: GuestContext, taken: TakenMoment, clients: NbdClient[]): Promise<readonly DiskPlan[]> {
  const plans: DiskPlan[] = [];
  for (const one of taken.fleeced) {
    const socketPath = guest.area.nbdSocket;
    const client = await openNbd({ socketPath, exportName: one.id, contexts: [ALLOCATION_CONTEXT] });
    clients.push(client);
    plans.push(await planOne(guest, taken.request, one, client));
  }
  return plans;
}

async function planOne(
  { area, settings }: GuestContext,
  request: MomentRequest,
  { disk, parent, id }: FleecedDisk,
  allocation: NbdClient,
): Promise<DiskPlan> {
  if (parent.bitmap === undefined) return planFull(toSourceDisk(disk), allocation, parent.reason);
  const dirtyContext = CHANGES_CONTEXT;
  const changes = await openNbd({ socketPath: area.nbdSocket, exportName: id, contexts: [dirtyContext] });
  try {
    const audit = { share: request.auditShare, mostSegments: settings.mostAuditSegments, random: settings.random };
    return await planChanges(toSourceDisk(disk), parent.point, { allocation, changes, dirtyContext }, audit);
  } finally {
    await changes.close();
  }
}

interface OpenParts {
  readonly guard: ScratchGuard;
  readonly clients: readonly NbdClient[];
  readonly plans: readonly DiskPlan[];
}

function createMoment(guest: GuestContext, taken: TakenMoment, { guard, clients, plans }: OpenParts): QemuMoment {
  let ending: Promise<void> | undefined;
  let held = true;

  async function read(index: number, offset: number, length: number, into: Uint8Array): Promise<void> {
    const inside = bytesInside(plans[index], offset, length, into);
    const broken: EkkoError | undefined = guard.broken();
    if (broken) throw broken;
    try {
      if (inside > 0) await clients[index]?.read(offset, inside, into);
    } catch (error) {
      throw guard.broken() ?? error;
    }
    into.fill(0, inside, length);
  }

  async function finish(outcome: Parameters<QemuMoment['end']>[0]): Promise<void> {
    await guard.stop();
    try {
      await unlessGone(guest, async (qmp) => {
        await removeOwnParts(qmp);
        if (taken.wasRunning) await resumeAfterIoError(qmp);
        await settleBitmaps(qmp, taken, outcome);
      });
    } finally {
      // After the exports: QEMU rather ends connections itself.
      await Promise.all(clients.map((client) => client.close()));
    }
    await guest.area.clear();
    held = false;
  }

  function end(outcome: Parameters<QemuMoment['end']>[0]): Promise<void> {
    // A failed end may be tried again.
    ending ??= finish(outcome).catch((error: unknown) => {
      ending = undefined;
      throw error;
    });
    return ending;
  }

  const { result: takenAt, consistency, note: consistencyNote, frozenMs } = taken.quiesced;
  return {
    ...{ plans, takenAt, consistency, consistencyNote, frozenMs, read, end },
    get held() {
      return held;
    },
  };
}

async function settleBitmaps(qmp: QmpClient, taken: TakenMoment, outcome: string): Promise<void> {
  const nodes = new Set(taken.fleeced.map(({ disk }) => disk.node));
  if (outcome === 'committed') await removeBitmaps(qmp, nodes, (name) => name !== taken.bitmap);
  if (outcome === 'abandoned') await removeBitmaps(qmp, nodes, (name) => name === taken.bitmap);
}

/** Does `work`; a QEMU that is gone has nothing left to tidy. */
async function unlessGone(guest: GuestContext, work: (qmp: QmpClient) => Promise<void>): Promise<void> {
  try {
    await work(await guest.monitor());
  } catch (error) {
    const now: unknown = await guest.monitor().catch((cause: unknown) => cause);
    if (!isQemuGone(now)) throw error;
  }
}
