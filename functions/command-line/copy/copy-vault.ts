import { EkkoError } from '#vault/errors.ts';
import { openStore } from '#vault/store/open-store.ts';
import { readDescription } from '#vault/vault.ts';
import { type MirrorReport, mirrorVault } from '../../replicator/mirror-vault.ts';
import { watchSignals } from '../interruption.ts';
import { openCommandVault, openStoredVault } from '../open-command-vault.ts';
import { openProgress } from '../progress/progress.ts';
import type { CommandContext } from '../run-command.ts';
import { type CopiedPoint, copyPoints } from './copy-points.ts';
import { keptPoints } from './kept-points.ts';

export interface CopyOptions {
  readonly asIs: boolean;
  readonly group: string | undefined;
  readonly last: number | undefined;
  /** Retention rules: only what they would keep. */
  readonly only: string | undefined;
  readonly again: boolean;
  readonly bandwidth: number | undefined;
  readonly dryRun: boolean;
  /** Undefined: the same as the source's. */
  readonly targetKeyFile: string | undefined;
  readonly targetJournalFile: string | undefined;
}

export type CopyOutcome =
  | { readonly kind: 'points'; readonly points: readonly CopiedPoint[] }
  | ({ readonly kind: 'replica' } & MirrorReport);

/** Copies restore points into another vault, or the whole vault as it is. Throws what opening and copying throw, and `Interrupted`. */
export async function copyVault(
  from: string,
  to: string,
  options: CopyOptions,
  context: CommandContext,
): Promise<CopyOutcome> {
  const { screen } = context;
  const { signal, ignore } = watchSignals(() => screen.remark('Ending; the same command goes on from here later.'));
  const progress = await openProgress(screen, 'Copying', signal);
  try {
    if (options.asIs) {
      if (options.only !== undefined)
        throw new EkkoError('bad-input', 'A replica has all points: --only is for copies, without --as-is.');
      const [source, target] = [await openStore(from), await openStore(to)];
      await readDescription(source);
      const onProgress = ({ bytes }: { readonly bytes: number }) => progress.update(bytes, bytes);
      return { kind: 'replica', ...(await mirrorVault({ source, target, signal, onProgress })) };
    }
    const { targetKeyFile = context.keyFile, targetJournalFile } = options;
    if (targetKeyFile === undefined)
      throw new EkkoError(
        'wrong-key',
        'No key for the vault to copy to was given. Name its key file by --target-key-file.',
      );
    const source = await openCommandVault(from, context);
    const given = { ...context, keyFile: targetKeyFile, journalFile: targetJournalFile, by: 'key-file' } as const;
    const target = await openStoredVault(await openStore(to), given);
    if (target.id === source.id)
      throw new EkkoError(
        'bad-input',
        `${to} is the same vault as ${from}, or a replica of it: that is kept up by --as-is.`,
      );
    const only = options.only === undefined ? undefined : keptPoints(source.journal.state(), options.only, new Date());
    const request = { ...options, only, source, target, targetKeyFile, targetJournalFile, signal, progress };
    return { kind: 'points', points: await copyPoints(request, context) };
  } finally {
    progress.end();
    ignore();
  }
}
