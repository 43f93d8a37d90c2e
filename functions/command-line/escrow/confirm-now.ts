import type { ObjectStore } from '#vault/store/object-store.ts';
import type { CommandContext } from '../run-command.ts';
import { askForCode } from './ask-for-code.ts';

/**
 * Lets a person type a code back that was just shown; without a terminal, or by Enter, it is left for later. `needed`: the vault
 * takes no backup before.
 */
export async function confirmNow(
  url: string,
  store: ObjectStore,
  { screen, journalFile }: Pick<CommandContext, 'screen' | 'journalFile'>,
  needed: boolean,
): Promise<void> {
  const why = needed ? 'before that the vault takes no backup' : 'only that proves the paper';
  const later = `Type it back with \`ekko escrow ${url}\`: ${why}.`;
  if (!screen.canAsk) return screen.lines('', `The escrow code is not confirmed yet. ${later}`);
  screen.lines('', 'Type the code back, from the paper (or press Enter to do it later):');
  const typed = await askForCode(screen, store, journalFile).catch((error: unknown) => {
    screen.remark(error instanceof Error ? error.message : String(error));
    return undefined;
  });
  const done = needed ? 'Confirmed: backups can begin.' : 'Confirmed.';
  screen.lines(typed === undefined ? `Not confirmed yet. ${later}` : done);
}
