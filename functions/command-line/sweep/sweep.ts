import { type CountedStore, openCountedStore } from '#vault/store/counted-store.ts';
import { openStore } from '#vault/store/open-store.ts';
import type { Vault } from '#vault/vault.ts';
import type { SweepReport } from '../../sweeper/sweep-report.ts';
import { sweepVault } from '../../sweeper/sweep-vault.ts';
import { giveUpRun } from '../give-up-run.ts';
import { releaseStaleHolds } from '../holds/release-hold.ts';
import { watchSignals } from '../interruption.ts';
import { openStoredVault } from '../open-command-vault.ts';
import { openProgress } from '../progress/progress.ts';
import type { CommandContext } from '../run-command.ts';

export interface SweepOptions {
  readonly dryRun: boolean;
  readonly graceHours: number;
  /** Look through all samples. */
  readonly samples: boolean;
  /** Runs that began so long ago are given up first; undefined: none. */
  readonly abandonHours: number | undefined;
}

export interface SweepCommandReport extends SweepReport {
  /** Runs that were given up, or would be. */
  readonly abandoned: readonly string[];
  /** To the store, for opening the vault too. */
  readonly requests: Requests;
  /** Undefined in a vault without packs. */
  readonly requestsPerThousandPacks: number | undefined;
}

export type Requests = Readonly<Record<'create' | 'get' | 'list' | 'remove', number>>;

/** Sweeps a vault and shows how it goes. Throws what `sweepVault` throws, and `Interrupted`: what has gone by then is gone. */
export async function sweep(url: string, options: SweepOptions, context: CommandContext): Promise<SweepCommandReport> {
  const { screen } = context;
  const { signal, ignore } = watchSignals(() => screen.remark('Ending; the next sweep goes on from here.'));
  const store = openCountedStore(await openStore(url));
  const progress = await openProgress(screen, 'Removing', signal);
  try {
    const vault = await openStoredVault(store, context);
    if (!options.dryRun) await releaseStaleHolds(vault);
    const now = new Date();
    const abandoned = await giveUpOldRuns(vault, options, now);
    const report = await sweepVault(vault, {
      ...{ now, signal, graceHours: options.graceHours, dryRun: options.dryRun, allSamples: options.samples },
      onProgress: ({ removedBytes, totalBytes }) => progress.update(removedBytes, totalBytes),
    });
    return { ...report, abandoned, ...requestsOf(store, report.packs) };
  } finally {
    progress.end();
    ignore();
  }
}

const HOUR_MS = 3_600_000;

async function giveUpOldRuns(vault: Vault, { abandonHours, dryRun }: SweepOptions, now: Date): Promise<string[]> {
  if (abandonHours === undefined) return [];
  const before = now.getTime() - abandonHours * HOUR_MS;
  const old = [...vault.journal.state().openRuns.values()].filter(({ at }) => Date.parse(at) < before);
  for (const { run } of dryRun ? [] : old) await giveUpRun(vault, run, `open for more than ${abandonHours} hours`);
  return old.map(({ run }) => run);
}

export function requestsOf(store: CountedStore, packs: number) {
  const of = (verb: keyof Requests) => store.requests(verb);
  const requests: Requests = { create: of('create'), get: of('get'), list: of('list'), remove: of('remove') };
  const perThousand = packs === 0 ? undefined : Math.round((store.requests() / packs) * 1000);
  return { requests, requestsPerThousandPacks: perThousand };
}
