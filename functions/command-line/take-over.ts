import { codeOf, type ErrorCode, isUnreadable } from '#vault/errors.ts';
import type { Extent } from '#vault/format/extents.ts';
import { packName } from '#vault/format/pack.ts';
import type { VaultState } from '#vault/journal/state.ts';
import { takeOverRun } from '#vault/runs.ts';
import type { DiskPlan } from '#vault/staging/changed-block-source.ts';
import { checkCovered, type DonePart, OtherParts } from '#vault/staging/done-parts.ts';
import { diskFolder, Folder, placeOf } from '#vault/store/object-names.ts';
import type { Vault } from '#vault/vault.ts';
import type { SegmentRun } from '#vault/words.ts';
import { noTotals, readReceipt, receiptsOf } from '../point-committer/receipts.ts';
import { isGone, thisProcess } from './this-process.ts';

/** The run of a dead process that had the same plan, which is this process's run from now on; undefined where there is none. */
export async function takeOverDeadRun(vault: Vault, group: string, plan: string): Promise<string | undefined> {
  for (const open of vault.journal.state().openRuns.values()) {
    const isOurs = open.group === group && open.plan === plan && isGone(open);
    if (isOurs && (await takeOverRun(vault, open, thisProcess(), new Date()))) return open.run;
  }
  return undefined;
}

/** Receipts that are read at once. */
const AT_ONCE = 8;

/**
 * The parts of a disk that have their receipts, ascending. A listing may miss some: those are made again. Throws `OtherParts` where
 * what a receipt names is no more to be built on, and what reading receipts throws.
 */
export async function findDoneParts(vault: Vault, run: string, disk: number, plan: DiskPlan): Promise<DonePart[]> {
  const listed = new Set<number>();
  for await (const { key } of vault.store.list(diskFolder(Folder.receipts, run, disk))) listed.add(partOf(key));
  const parts = [...listed].sort((a, b) => a - b);
  const done: DonePart[] = [];
  for (let at = 0; at < parts.length; at += AT_ONCE) {
    const batch = parts.slice(at, at + AT_ONCE);
    done.push(...(await Promise.all(batch.map((part) => readDonePart(vault, run, disk, part, plan)))));
  }
  return done;
}

/** Throws `OtherParts` unless the receipts of a disk's parts together name what the plan lists, and what reading them throws. */
export async function checkAllParts(
  vault: Vault,
  run: string,
  disk: number,
  plan: DiskPlan,
  parts: number,
): Promise<void> {
  const summary = { parts, diskSize: plan.disk.size };
  await checkCovered(plan, runsOf(receiptsOf(vault, run, disk, summary, noTotals())));
}

/** Whether a run that was taken over fails for what its first process left: begun anew, the work may succeed. */
export function isFaultOfThePast(error: unknown): boolean {
  return error instanceof OtherParts || isUnreadable(error) || FAULTS.has(codeOf(error));
}

const FAULTS: ReadonlySet<ErrorCode | undefined> = new Set<ErrorCode>(['run-incomplete', 'part-refused', 'condemned']);

function partOf(key: string): number {
  try {
    const { part } = placeOf(key, Folder.receipts);
    if (part !== 'summary') return part;
  } catch (error) {
    if (codeOf(error) !== 'bad-input') throw error;
  }
  throw new OtherParts(`${key} is no receipt`);
}

async function readDonePart(vault: Vault, run: string, disk: number, part: number, plan: DiskPlan): Promise<DonePart> {
  const { diskSize, extents } = await readReceipt(vault, run, disk, part);
  const [first, last] = [extents[0], extents.at(-1)];
  if (diskSize !== plan.disk.size || first === undefined || last === undefined)
    throw new OtherParts(`part ${part} is of another disk`);
  checkUsable(vault.journal.state(), extents);
  return { part, first: first.start, end: last.start + last.count };
}

/** A receipt stays as it is, so what it names cannot be stored again in another place. */
function checkUsable({ condemned, damaged }: VaultState, extents: readonly Extent[]): void {
  for (const { pack } of extents) {
    const name = pack === undefined ? '' : packName(pack);
    if (condemned.has(name) || damaged.has(name)) throw new OtherParts(`pack ${name} is of no use any more`);
  }
}

async function* runsOf(extents: AsyncIterable<Extent>): AsyncGenerator<SegmentRun> {
  for await (const { start, count } of extents) yield { first: start, count };
}
