import { codeOf, EkkoError, type ErrorCode } from '#vault/errors.ts';
import type { JournalEntry } from '#vault/journal/entries.ts';
import type { VaultState } from '#vault/journal/state.ts';
import { readManifest } from '#vault/records.ts';
import { openDiskReader } from '#vault/restore/read-disk.ts';
import { abandonRun } from '#vault/runs.ts';
import { Folder } from '#vault/store/object-names.ts';
import type { Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE, segmentsOf } from '#vault/words.ts';
import { commitRun } from '../../functions/point-committer/commit-run.ts';
import { openPartProcessor } from '../../functions/segment-processor/process-part.ts';
import { movePacks } from '../../functions/sweeper/move-packs.ts';
import { sweepVault } from '../../functions/sweeper/sweep-vault.ts';
import type { Script, Stage } from './scheduler.ts';
import { type Contents, NOW, type PreparedRun, segmentOf } from './world.ts';

const AT = NOW.toISOString();

/** Processes one staged part, as a function does that was told of it. */
export function processing(key: string, mayFail: readonly ErrorCode[] = []): Stage {
  return {
    name: `process ${Number(key.slice(-8))}`,
    role: 'processor',
    mayFail,
    run: (vault) => openPartProcessor(vault, 1).process(key),
  };
}

/** How a commit may be refused while sweeps and moves run beside it; a repeated one also because the first had committed. */
export const REFUSALS = ['condemned', 'part-refused', 'run-ended'] as const;

export function committing(run: string, mayFail: readonly ErrorCode[] = REFUSALS): Stage {
  return {
    name: 'commit',
    role: 'committer',
    mayFail,
    run: (vault) => commitRun(vault, run, NOW),
    judge: async (outcome, { openRuns }) =>
      'value' in outcome && openRuns.has(run)
        ? `Run ${run} has committed, and the journal knows nothing of it.`
        : undefined,
  };
}

/** Starts a run and stages what was read: sealed before, for that is none of the vault's business. */
export function exporting({ entry, parts }: PreparedRun): readonly Stage[] {
  const stage = async ({ store }: Vault) => {
    for (const [key, bytes] of parts) await store.create(key, [bytes], { durable: false });
  };
  return [
    { name: 'start', role: 'other', mayFail: ['bad-input'], run: (vault) => vault.journal.append(() => entry) },
    { name: 'stage', role: 'other', mayFail: [], run: stage },
  ];
}

export function abandoner(run: string): Script {
  return single('abandoner', {
    name: 'abandon',
    role: 'other',
    mayFail: [],
    run: (vault) => abandonRun(vault, run, 'test', NOW),
  });
}

/** Appends an entry, as the commands do that have nothing else to do; what the journal objects to is not an error. */
export function writing(name: string, entry: JournalEntry): Script {
  const mayFail = ['point-unknown', 'held'] as const;
  return single(name, { name: entry.type, role: 'other', mayFail, run: (vault) => vault.journal.append(() => entry) });
}

export function expirer(...points: readonly string[]): Script {
  return writing('expirer', { type: 'points-expired', points, reason: 'test', at: AT });
}

export function undeleter(...points: readonly string[]): Script {
  return writing('undeleter', { type: 'points-undeleted', points, at: AT });
}

export function legalHolder(...points: readonly string[]): Script {
  return writing('holder', {
    type: 'hold-placed',
    hold: 'law',
    kind: 'legal',
    points,
    reason: 'test',
    host: 'h',
    at: AT,
  });
}

/** Sweeps without a time of grace. */
export const sweeping: Stage = {
  name: 'sweep',
  role: 'sweeper',
  mayFail: [],
  run: (vault) => sweepVault(vault, { now: NOW, graceHours: 0, allSamples: true }),
};

/** A sweep that waits for nobody. The proof must hold without what is done out of courtesy to open runs. */
export const rudeSweeping: Stage = {
  name: 'sweep',
  role: 'sweeper',
  mayFail: [],
  run: (vault) => sweepVault(withoutCourtesy(vault), { now: NOW, graceHours: 0 }),
};

/** Compacts packs of which anything at all is unused. */
export const moving: Stage = {
  name: 'move',
  role: 'mover',
  mayFail: ['condemned'],
  run: (vault) => movePacks(vault, { now: NOW, below: 1, leastGain: 1 }),
};

/** Stages one after another; one that died, or was told that the store failed, is begun once more by another process. */
export function script(name: string, ...stages: readonly Stage[]): Script {
  return { name, stages, retries: 1 };
}

function single(name: string, stage: Stage): Script {
  return { name, stages: [stage] };
}

/**
 * The vault as one sees it who does not know of open runs, so that nothing waits for them; only their parts and receipts are out of
 * his sight too, or no run would ever get further.
 */
export function withoutCourtesy(vault: Vault): Vault {
  const { journal, store } = vault;
  const hide = (state: VaultState): VaultState => ({ ...state, openRuns: new Map() });
  return {
    ...vault,
    store: {
      ...store,
      async *list(prefix, options) {
        if (prefix !== Folder.staging && prefix !== Folder.receipts) yield* store.list(prefix, options);
      },
    },
    journal: {
      state: () => hide(journal.state()),
      refresh: async () => hide(await journal.refresh()),
      append: async (decide) => hide(await journal.append((head) => decide(hide(head)))),
    },
  };
}

/** Reads the whole disk of a restore point and finds it as it was. Only that the point has been condemned by then may fail it. */
export function reader(point: string, truth: Contents): Script {
  return single('reader', {
    name: 'restore',
    role: 'reader',
    mayFail: ['point-unknown', 'object-missing'],
    run: (vault) => restore(vault, point, truth),
    judge: async (outcome, { points, expired }) =>
      'error' in outcome && (points.has(point) || expired.has(point))
        ? `Point ${point}, which is not condemned, cannot be read.`
        : undefined,
  });
}

/** The same behind a read hold: once that is placed nothing at all may fail it. */
export function holdingReader(point: string, truth: Contents): Script {
  const run = async (vault: Vault) => {
    const hold = { hold: 'read', kind: 'read', points: [point], reason: 'test', host: 'h', at: AT } as const;
    await vault.journal.append(() => ({ type: 'hold-placed', ...hold }));
    await restore(vault, point, truth).catch((cause: unknown) => {
      throw new Error(`A held point cannot be read: ${codeOf(cause)}`, { cause });
    });
    await vault.journal.append(() => ({ type: 'hold-released', hold: 'read', at: AT }));
  };
  return single('reader', { name: 'restore', role: 'reader', mayFail: ['point-unknown'], run });
}

async function restore(vault: Vault, point: string, truth: Contents): Promise<void> {
  const state = await vault.journal.refresh();
  const disk = (state.points.get(point) ?? state.expired.get(point))?.disks[0];
  if (disk === undefined) throw new EkkoError('point-unknown', `${point} is gone.`);
  const image = Buffer.alloc(disk.size, 0xff);
  const manifest = await readManifest(vault, disk.manifest);
  const all = { first: 0, count: segmentsOf(disk.size) };
  for await (const piece of openDiskReader(vault, { bestEffort: false }).read(manifest, all)) {
    if (piece.kind === 'data') piece.bytes.copy(image, piece.offset);
    else image.fill(0, piece.offset, piece.offset + piece.length);
  }
  for (const [i, content] of truth.entries()) {
    if (image.subarray(i * SEGMENT_SIZE, (i + 1) * SEGMENT_SIZE).equals(segmentOf(content))) continue;
    throw new Error(`Segment ${i} is not what the disk held.`);
  }
}
