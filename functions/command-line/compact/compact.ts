import { openCountedStore } from '#vault/store/counted-store.ts';
import { openStore } from '#vault/store/open-store.ts';
import { movePacks } from '../../sweeper/move-packs.ts';
import type { MoveReport } from '../../sweeper/move-report.ts';
import { watchSignals } from '../interruption.ts';
import { openStoredVault } from '../open-command-vault.ts';
import { openProgress } from '../progress/progress.ts';
import type { CommandContext } from '../run-command.ts';
import { type Requests, requestsOf } from '../sweep/sweep.ts';

export interface CompactOptions {
  readonly dryRun: boolean;
  /** Share, 0-1. */
  readonly below: number;
  /** Stored bytes to copy; undefined: no limit. */
  readonly limitBytes: number | undefined;
}

export interface CompactCommandReport extends MoveReport {
  /** To the store, for opening the vault too. */
  readonly requests: Requests;
  readonly requestsPerThousandPacks: number | undefined;
}

/** Compacts a vault and shows how it goes. Throws what `movePacks` throws, and `Interrupted`: what was moved by then is moved. */
export async function compact(
  url: string,
  { dryRun, below, limitBytes }: CompactOptions,
  context: CommandContext,
): Promise<CompactCommandReport> {
  const { screen } = context;
  const { signal, ignore } = watchSignals(() => screen.remark('Ending; what has been moved stays so.'));
  const store = openCountedStore(await openStore(url));
  const progress = await openProgress(screen, 'Moving', signal);
  try {
    const vault = await openStoredVault(store, context);
    const report = await movePacks(vault, {
      ...{ now: new Date(), below, dryRun, signal },
      ...(limitBytes === undefined ? {} : { limitBytes }),
      onProgress: ({ doneBytes, totalBytes }) => progress.update(doneBytes, totalBytes),
    });
    return { ...report, ...requestsOf(store, report.packs) };
  } finally {
    progress.end();
    ignore();
  }
}
