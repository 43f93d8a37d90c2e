import { availableParallelism } from 'node:os';
import { type CopySelection, choosePoints } from '#vault/copies/choose-points.ts';
import { earlierCopies } from '#vault/copies/earlier-copies.ts';
import { codeOf } from '#vault/errors.ts';
import type { RestorePoint } from '#vault/format/point.ts';
import type { CommittedPoint } from '#vault/journal/state.ts';
import { readPoint } from '#vault/records.ts';
import { roomForPart, type SharedStaging, withSharedStaging } from '#vault/store/shared-staging.ts';
import { carryTopology } from '#vault/topologies.ts';
import type { Vault } from '#vault/vault.ts';
import type { FunctionHost } from '../../host/function-host.ts';
import { openVaultSource } from '../../replicator/vault-source.ts';
import { openEmbeddedHost } from '../backup/open-host.ts';
import { planStaging } from '../backup/plan-staging.ts';
import { whileHeld } from '../holds/read-hold.ts';
import type { Progress } from '../progress/progress.ts';
import { runBackup } from '../run-backup.ts';
import type { CommandContext } from '../run-command.ts';
import { copyPlan } from './copy-plan.ts';

export interface CopyRequest extends CopySelection {
  readonly source: Vault;
  readonly target: Vault;
  readonly targetKeyFile: string;
  readonly targetJournalFile: string | undefined;
  /** Bytes a second. */
  readonly bandwidth: number | undefined;
  readonly dryRun: boolean;
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

/** What became of one restore point. */
export type CopiedPoint = { readonly run: string; readonly group: string; readonly takenAt: string } & (
  | { readonly outcome: 'copied'; readonly point: RestorePoint; readonly readBytes: number }
  | { readonly outcome: 'wanted' }
  /** Something that it needs is damaged or missing in the source. */
  | { readonly outcome: 'failed'; readonly message: string }
);

/** Faults of one point of the source, for which the other points need not wait. */
const FAULTS: ReadonlySet<string | undefined> = new Set(['damaged', 'object-missing', 'bad-format', 'point-unknown']);

/**
 * Copies restore points to a vault of its own key, oldest first: each is a backup whose source is the other vault. A copy that was cut
 * off is gone on with. Throws what `runBackup` throws, but for faults of single points.
 */
export async function copyPoints(request: CopyRequest, context: CommandContext): Promise<CopiedPoint[]> {
  const { source, target } = request;
  const points = choosePoints(source.id, source.journal.state(), target.journal.state(), request);
  if (request.dryRun || points.length === 0) return points.map((point) => ({ ...named(point), outcome: 'wanted' }));
  const workers = availableParallelism();
  const { memory, ...parts } = planStaging(workers, Math.max(...points.map(({ disks }) => disks.length)));
  const host = openEmbeddedHost({
    ...{ vault: target.store.url, keyFile: request.targetKeyFile, journalFile: request.targetJournalFile },
    ...{ workers, level: 1, staging: memory },
    log: context.verbose ? (line: string) => context.screen.remark(line) : undefined,
  });
  const copied: CopiedPoint[] = [];
  try {
    for (const point of points) copied.push(await copyOne(request, context, { host, memory, ...parts }, point));
    return copied;
  } finally {
    await host.close();
  }
}

interface Machinery {
  readonly host: FunctionHost;
  readonly memory: SharedStaging;
  readonly partSegments: number;
  readonly partsWaiting: number;
}

async function copyOne(
  request: CopyRequest,
  context: CommandContext,
  machinery: Machinery,
  point: CommittedPoint,
): Promise<CopiedPoint> {
  try {
    const work = () => backUpCopy(request, machinery, point);
    return {
      ...named(point),
      outcome: 'copied',
      ...(await whileHeld(request.source, point.run, 'copy', context.screen, work)),
    };
  } catch (error) {
    if (!FAULTS.has(codeOf(error))) throw error;
    return { ...named(point), outcome: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
}

async function backUpCopy(request: CopyRequest, machinery: Machinery, original: CommittedPoint) {
  const { run, group } = original;
  const { source: from, target, bandwidth, signal, progress } = request;
  const { host, memory, ...parts } = machinery;
  // The point before this one was copied a moment ago, by another thread.
  await target.journal.refresh();
  const earlier = earlierCopies(from, target);
  const source = await openVaultSource({ vault: from, point: run, earlier });
  let [readBytes, total] = [0, 0];
  const point = await runBackup({
    ...{ vault: { ...target, store: withSharedStaging(target.store, memory) }, host, source, group, signal, ...parts },
    ...{ quiesce: 'never', readAll: undefined, auditShare: 0, bandwidth },
    plan: copyPlan(from, original, earlier, target, parts.partSegments),
    keepTopology: async (copy) => carryTopology(await readPoint(from, original.point), target, copy),
    memory: () => roomForPart(memory),
    watch: {
      planned(_, bytes) {
        [readBytes, total] = [0, bytes];
        progress.update(0, total);
      },
      read(bytes) {
        readBytes += bytes;
        progress.update(readBytes, total);
      },
      staged: () => progress.phase('finishing'),
      distrusted: () => undefined,
    },
  });
  return { point, readBytes };
}

function named({ run, group, takenAt }: CommittedPoint) {
  return { run, group, takenAt };
}
