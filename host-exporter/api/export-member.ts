import { createSecretKey } from 'node:crypto';
import type { ServerTicket } from '#vault/export-ticket.ts';
import { diskTicket, type TicketDisk } from '#vault/export-ticket.ts';
import type { VaultAnswer, VaultKnowledge, VaultQuestion } from '#vault/staging/ask-first.ts';
import type { HeldMoment } from '#vault/staging/changed-block-source.ts';
import { exportDisk } from '#vault/staging/export-disk.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { SEGMENTS_PER_PART } from '#vault/words.ts';
import type { Budget } from './budget.ts';

export interface MemberExport {
  readonly moment: HeldMoment;
  readonly ticket: ServerTicket;
  readonly staging: Pick<ObjectStore, 'create'>;
  readonly budget: Budget;
  readonly notice: (key: string) => Promise<void>;
  /** Asks which segments of a disk (its number in the run) the vault has; only where the ticket allows it. */
  readonly ask: (disk: number, question: VaultQuestion) => Promise<VaultAnswer>;
  /** Bytes of the disk of that name that have been dealt with since the last call. */
  readonly progress: (disk: string, bytes: number) => void;
  /** Bytes of the disk that were not sent since the last call because the vault has them. */
  readonly known: (disk: string, bytes: number) => void;
}

/** Stages every disk of a member, one after the other: memory is that of one. Throws what `exportDisk` throws. */
export async function exportMember({ moment, ticket, budget, ...rest }: MemberExport): Promise<void> {
  const { staging, notice, progress, known } = rest;
  const knowledge = knowledgeOf(ticket, rest.ask);
  const paced: HeldMoment = {
    ...moment,
    read: async (index, offset, length, into) => {
      await budget.take(length);
      await moment.read(index, offset, length, into);
    },
  };
  for (const [index, { disk, base, baseDisk }] of moment.plans.entries()) {
    const own = ticket.disks.find(({ name }) => name === disk.name);
    if (own === undefined) throw new RangeError(`The moment has disk ${disk.name}, the ticket has not.`);
    await exportDisk(paced, index, diskTicket(ticket, own), lineageOf(own, base, baseDisk), {
      ...{ staging, notice, bandwidth: ticket.bandwidth, partSegments: SEGMENTS_PER_PART },
      progress: (bytes) => progress(disk.name, bytes),
      ...{ knowledge: knowledge?.(own.index), known: (bytes) => known(disk.name, bytes) },
    });
  }
}

function knowledgeOf(
  { idKey }: ServerTicket,
  ask: MemberExport['ask'],
): ((disk: number) => VaultKnowledge) | undefined {
  if (idKey === undefined) return undefined;
  const key = createSecretKey(idKey);
  return (disk) => ({ idKey: key, ask: (question) => ask(disk, question) });
}

/** What unchanged content is looked for in: the image or the point counted from, else the newest. */
function lineageOf(
  { points, image }: TicketDisk,
  base: string | undefined,
  baseDisk: string | undefined,
): string | undefined {
  if (baseDisk !== undefined && image?.name === baseDisk) return image.manifest;
  return (points.find(({ run }) => run === base) ?? points[0])?.manifest;
}
