import type { RestorePoint } from '#vault/format/point.ts';
import type { JournalEntry } from '#vault/journal/entries.ts';
import type { Vault } from '#vault/vault.ts';
import { type MoveRequest, movePacks } from '../../../functions/sweeper/move-packs.ts';
import { type SweepRequest, sweepVault } from '../../../functions/sweeper/sweep-vault.ts';
import { newWorld, type World } from '../../model/world.ts';

export const NOW = new Date('2026-06-01T00:00:00Z');
const AT = NOW.toISOString();

/** A world with what is done to its points, and the sweeper with no grace. */
export interface Lab extends World {
  /** Writes these contents from segment 0 on and backs up; 0 is zero, `undefined` leaves a segment as it is. */
  backUp(contents: readonly (number | undefined)[], partSegments?: number): Promise<RestorePoint>;
  expire(...runs: string[]): Promise<void>;
  append(entry: JournalEntry): Promise<void>;
  sweep(request?: Partial<SweepRequest>, vault?: Vault): ReturnType<typeof sweepVault>;
  /** Rewrites every pack that is not used whole. */
  move(request?: Partial<MoveRequest>, vault?: Vault): ReturnType<typeof movePacks>;
}

export async function newLab(segments = 24): Promise<Lab> {
  const world = await newWorld(segments);
  const append = async (entry: JournalEntry) => {
    await (await world.open()).journal.append(() => entry);
  };
  return {
    ...world,
    append,
    backUp(contents, partSegments = 8) {
      for (const [i, content] of contents.entries()) if (content !== undefined) world.guest.write(i, content);
      return world.backup({ partSegments });
    },
    expire: (...runs) => append({ type: 'points-expired', points: runs, reason: 'test', at: AT }),
    sweep: async (request, vault) => sweepVault(vault ?? (await world.open()), { now: NOW, graceHours: 0, ...request }),
    move: async (request, vault) =>
      movePacks(vault ?? (await world.open()), { now: NOW, below: 1, leastGain: 1, ...request }),
  };
}

export function undeleted(...runs: string[]): JournalEntry {
  return { type: 'points-undeleted', points: runs, at: AT };
}

export function held(run: string, kind: 'read' | 'legal' = 'read'): JournalEntry {
  return { type: 'hold-placed', hold: `hold ${run}`, kind, points: [run], reason: 'test', host: 'h', at: AT };
}

/** A verification has found these packs damaged. */
export function foundDamaged(damaged: readonly string[]): JournalEntry {
  return { type: 'vault-verified', shards: [0], keyed: true, objects: 1, bytes: 1, damaged, at: AT };
}

/** `count` contents that no other call with another `seed` has. */
export function fresh(seed: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => seed * 1000 + i + 1);
}

/** Two points, of which the first has expired and alone needs half of its content. */
export async function expiredLab(): Promise<{ lab: Lab; expired: string; kept: string }> {
  const lab = await newLab();
  const { id: expired } = await lab.backUp(fresh(1, 24));
  const { id: kept } = await lab.backUp(fresh(2, 12));
  await lab.expire(expired);
  return { lab, expired, kept };
}
