import { openStore } from '#vault/store/open-store.ts';
import { type ExtensionReport, extendLocks } from '../../sweeper/extend-locks.ts';
import { watchSignals } from '../interruption.ts';
import { openStoredVault } from '../open-command-vault.ts';
import type { CommandContext } from '../run-command.ts';
import { formatCount, formatSize } from '../text/sizes.ts';
import { formatTime } from '../text/times.ts';

/** Extends the locks that are due. Throws what `extendLocks` throws, and `Interrupted`: the next one goes on from there. */
export async function extend(url: string, dryRun: boolean, context: CommandContext): Promise<ExtensionReport> {
  const { screen } = context;
  const { signal, ignore } = watchSignals(() => screen.remark('Ending; the next one goes on from here.'));
  try {
    const vault = await openStoredVault(await openStore(url), context);
    return await extendLocks(vault, { dryRun, signal });
  } finally {
    ignore();
  }
}

export function describeExtension({ dryRun, shards, objects, bytes, lockedUntil }: ExtensionReport): string[] {
  const until = formatTime(new Date(lockedUntil));
  if (shards === 0) return [`All that is needed is locked until ${until}: nothing is due yet.`];
  const what = `${formatCount(objects, 'object')}, ${formatSize(bytes)}`;
  if (dryRun) return [`Would extend the locks of ${what}. Now they end from ${until} on.`];
  return [`Extended the locks of ${what}: all that is needed is locked until ${until}.`];
}
