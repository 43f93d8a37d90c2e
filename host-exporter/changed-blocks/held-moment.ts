import type { DiskPlan, HeldMoment } from '#vault/staging/changed-block-source.ts';
import { bytesInside } from '#vault/staging/read-span.ts';
import type { NbdClient } from '../qemu/nbd-client.ts';
import type { Quiesced } from './quiesce.ts';

/** `undecided`: everything but the bitmaps goes, and the next moment judges them by what the vault knows. */
export type Outcome = 'committed' | 'abandoned' | 'undecided';

export interface EndableMoment extends HeldMoment {
  /** False once it has ended. */
  readonly held: boolean;
  end(outcome: Outcome): Promise<void>;
}

/** A moment that QEMU shows over NBD. */
export interface ExportedMoment {
  readonly plans: readonly DiskPlan[];
  /** By number of the disk. */
  readonly clients: readonly NbdClient[];
  readonly quiesced: Quiesced<Date>;
  /** Why nothing can be read any more; undefined while that is not known. */
  readonly broken: () => Error | undefined;
  /** Called when a read failed; resolves to what is to be thrown. */
  readonly explain: (error: unknown) => Promise<unknown>;
  /** Ends it within QEMU. When it fails it is called again with the next end. */
  readonly finish: (outcome: Outcome) => Promise<void>;
}

/** The moment as its reader sees it. */
export function createHeldMoment(exported: ExportedMoment): EndableMoment {
  const { plans, clients, quiesced, broken, explain, finish } = exported;
  let ending: Promise<void> | undefined;
  let held = true;

  async function read(index: number, offset: number, length: number, into: Uint8Array): Promise<void> {
    const inside = bytesInside(plans[index], offset, length, into);
    const known = broken();
    if (known) throw known;
    try {
      if (inside > 0) await clients[index]?.read(offset, inside, into);
    } catch (error) {
      throw await explain(error);
    }
    into.fill(0, inside, length);
  }

  async function endNow(outcome: Outcome): Promise<void> {
    await finish(outcome);
    held = false;
  }

  function end(outcome: Outcome): Promise<void> {
    // A failed end may be tried again.
    ending ??= endNow(outcome).catch((error: unknown) => {
      ending = undefined;
      throw error;
    });
    return ending;
  }

  const { result: takenAt, consistency, note: consistencyNote, frozenMs } = quiesced;
  return {
    ...{ plans, takenAt, consistency, consistencyNote, frozenMs, read, end },
    get held() {
      return held;
    },
  };
}
