import { partAgreement, sealedDataSize, sealSummary } from '../format/staged-part.ts';
import { type ExportSummary, encodeSummary } from '../format/summary.ts';
import { agreeAsSender } from '../keys/hpke.ts';
import type { ExportTicket } from '../runs.ts';
import { stagingKey } from '../store/object-names.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { SEGMENT_SIZE, SEGMENTS_PER_PART } from '../words.ts';
import { type AskedStep, askFirst, type VaultKnowledge } from './ask-first.ts';
import type { CopiedMoment, DiskPlan, HeldMoment } from './changed-block-source.ts';
import type { DiskExport } from './disk-export.ts';
import { type DonePart, notDone, OtherParts } from './done-parts.ts';
import { newPartBuilder, type PartBuilder } from './part-builder.ts';
import { type Read, readAhead } from './read-ahead.ts';
import { stageInPlace } from './stage-in-place.ts';

export interface ExportSettings {
  readonly staging: Pick<ObjectStore, 'create'>;
  /** Called when a part is staged, and awaited: whoever processes parts can hold the exporter back. */
  readonly notice: (key: string) => Promise<void>;
  /** Called with the bytes of disk that have been dealt with since the last call, out of `plannedBytes`. */
  readonly progress: (bytes: number) => void;
  /** Bytes of disk a second, or undefined for as fast as it goes. */
  readonly bandwidth: number | undefined;
  /** Segments of data in one part, at most SEGMENTS_PER_PART. */
  readonly partSegments: number;
  /** Memory for the data of the next part, one at a time; by default the exporter has its own. Parts in memory that threads share are not sealed. */
  readonly memory?: () => Uint8Array;
  /**
   * Whoever processes parts shares this process: of disks that lie in files, parts tell where, and are read there. Not together with
   * `bandwidth`, `knowledge` or `done`.
   */
  readonly inPlace?: boolean;
  /** Whom to ask what the vault has before it is sent, where that is allowed. */
  readonly knowledge?: VaultKnowledge | undefined;
  /** Called with the bytes of disk that the vault has: all but a few of them are not sent. */
  readonly known?: (bytes: number) => void;
  /** Parts that need not be made again, ascending; what this export makes has the numbers between and behind them. */
  readonly done?: readonly DonePart[];
}

/** Bytes that an export of the plan will read: known before the first one. */
export function plannedBytes({ data, audit }: DiskPlan): number {
  return [...data, ...audit].reduce((sum, run) => sum + run.count, 0) * SEGMENT_SIZE;
}

/**
 * Reads what disk `index` of a held moment has to give and stages it as parts, then the summary that says how many.
 * Resolves to how many parts the disk has. Memory is bounded by two parts: one being filled, one being written. Throws what reading
 * (`qemu-failed`, …) and the store (`store-failed`) throw, and `OtherParts`.
 */
export async function exportDisk(
  moment: HeldMoment,
  index: number,
  ticket: ExportTicket,
  lineage: string | undefined,
  settings: ExportSettings,
): Promise<number> {
  const plan = moment.plans[index];
  if (plan === undefined) throw new RangeError(`The moment has no disk ${index}.`);
  const work: DiskExport = {
    plan,
    most: Math.min(settings.partSegments, SEGMENTS_PER_PART),
    disk: { diskSize: plan.disk.size, lineage },
    stage: (part, pieces) => stagePart(stagingKey({ run: ticket.run, disk: ticket.disk, part }), pieces, settings),
    progress: settings.progress,
  };
  const read: Read = (offset, length, into) => moment.read(index, offset, length, into);
  const place = settings.inPlace ? moment.place?.(index) : undefined;
  const parts = await (place ? stageInPlace(work, place) : stageReadings(work, read, ticket, settings));
  await stageSummary(ticket, settings.staging, summaryOf(moment, plan, parts));
  return parts;
}

/** Reads a disk and stages what was read. Resolves to how many parts there are. */
async function stageReadings(
  work: DiskExport,
  read: Read,
  ticket: ExportTicket,
  settings: ExportSettings,
): Promise<number> {
  const { plan, most, disk, progress } = work;
  const { knowledge } = settings;
  const stage = openStage(work, ticket, settings);
  const pace = pacer(settings.bandwidth);
  const steps: AsyncIterable<AskedStep> = readAhead(notDone(plan, most, settings.done ?? []), read);
  for await (const step of knowledge === undefined ? steps : askFirst(steps, disk.lineage, knowledge)) {
    const bytes = step.kind === 'zero' ? 0 : step.bytes.length;
    await stage.add(step, bytes / SEGMENT_SIZE);
    progress(bytes);
    if (step.known !== undefined) settings.known?.(step.known.size * SEGMENT_SIZE);
    await pace(bytes);
  }
  return stage.end();
}

/** Fills parts and stages each one while the next is being filled. */
function openStage({ most, disk, stage }: DiskExport, ticket: ExportTicket, settings: ExportSettings) {
  const memoryOf = settings.memory ?? twoMemories(sealedDataSize(most));
  const done = [...(settings.done ?? [])];
  let parts = 0;
  let part: PartBuilder | undefined;
  let writing: Promise<void> = Promise.resolve();
  const put = async () => {
    if (part === undefined) return;
    const pieces = part.finish();
    part = undefined;
    await writing;
    writing = stage(parts++, pieces);
    // Awaited with the next part or at the end; until then its failure must not count as unhandled.
    writing.catch(() => undefined);
  };
  /** Steps over the done parts before a segment: the number of each must have come. */
  const pass = async (segment: number) => {
    for (let next = done[0]; next !== undefined && next.first < segment; next = done[0]) {
      await put();
      if (parts !== next.part) throw new OtherParts(`part ${next.part} comes in place of part ${parts}`);
      parts++;
      done.shift();
    }
  };
  return {
    async add(step: AskedStep, segments: number) {
      await pass(step.run.first);
      if (part?.full || (part?.segments ?? 0) + segments > most) await put();
      part ??= await newPartBuilder(ticket, parts, most, disk, memoryOf());
      if (step.kind === 'zero') part.addZero(step.run);
      else if (step.kind === 'data') part.addData(step.run.first, step.bytes, step.known);
      else part.addAudit(step.run.first, step.bytes);
    },
    /** The number of parts, all of them staged. */
    async end() {
      await pass(Number.POSITIVE_INFINITY);
      await put();
      await writing;
      return parts;
    },
  };
}

/** Taken in turn: one is filled while the part in the other is being stored. */
function twoMemories(size: number): () => Uint8Array {
  const memories = [Buffer.allocUnsafeSlow(size), Buffer.allocUnsafeSlow(size)];
  return () => {
    memories.reverse();
    return memories[0] ?? Buffer.allocUnsafeSlow(size);
  };
}

/** Not durable: a part that a crash of its host loses is read again, for the bitmap has it still. */
async function stagePart(
  key: string,
  pieces: readonly Uint8Array[],
  { staging, notice }: ExportSettings,
): Promise<void> {
  await staging.create(key, pieces, { durable: false });
  await notice(key);
}

async function stageSummary(
  ticket: ExportTicket,
  staging: ExportSettings['staging'],
  summary: ExportSummary,
): Promise<void> {
  const { vault, run, disk, token, epoch } = ticket;
  const agreed = await agreeAsSender(ticket.stagingPublicKey, partAgreement(vault, run, disk, 'summary', token));
  await staging.create(stagingKey({ run, disk, part: 'summary' }), sealSummary(epoch, agreed, encodeSummary(summary)), {
    durable: false,
  });
}

function summaryOf(moment: HeldMoment, plan: DiskPlan, parts: number): ExportSummary {
  return {
    disk: plan.disk.name,
    diskSize: plan.disk.size,
    parts,
    base: plan.base,
    ...(plan.baseDisk === undefined ? {} : { baseDisk: plan.baseDisk }),
    fullReason: plan.fullReason,
    origin: plan.disk.origin,
    ...(plan.copied === undefined ? momentOf(moment) : copyOf(plan.copied)),
  };
}

function momentOf({ takenAt, consistency, consistencyNote, frozenMs }: HeldMoment) {
  return { takenAt: takenAt.toISOString(), consistency, consistencyNote, frozenMs };
}

function copyOf({ vault, run, ...moment }: CopiedMoment) {
  return { ...moment, copyOf: { vault, run } };
}

/** Waits as long as it takes to stay within `bandwidth` bytes a second, counted from the first call. */
function pacer(bandwidth: number | undefined): (bytes: number) => Promise<void> {
  if (bandwidth === undefined) return () => Promise.resolve();
  const began = performance.now();
  let total = 0;
  return async (bytes) => {
    total += bytes;
    const ahead = (total / bandwidth) * 1000 - (performance.now() - began);
    if (ahead > 5) await new Promise((resolve) => setTimeout(resolve, ahead));
  };
}
