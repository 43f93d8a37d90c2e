import { codeOf, EkkoError } from '#vault/errors.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { askLine } from '../ask-line.ts';
import type { Screen } from '../screen.ts';
import { type ConfirmedEscrow, confirmEscrow } from './confirm-escrow.ts';

const TRIES = 3;

/** What was typed, and what it came to. */
export interface TypedCode {
  readonly confirmed: ConfirmedEscrow;
  /** Secret. */
  readonly code: string;
}

/**
 * Asks for the vault's escrow code and confirms it; a person may mistype it twice. Undefined when nothing was typed. Throws what
 * `confirmEscrow` throws.
 */
export async function askForCode(
  screen: Screen,
  store: ObjectStore,
  journalFile: string | undefined,
): Promise<TypedCode | undefined> {
  for (let attempt = 1; ; attempt++) {
    const code = (await askLine(screen, 'Escrow code: '))?.trim();
    if (code === undefined || code === '') return undefined;
    try {
      return { confirmed: await confirmEscrow(store, code, journalFile), code };
    } catch (error) {
      if (!screen.canAsk || attempt === TRIES || codeOf(error) !== 'bad-input') throw error;
      screen.remark(error instanceof EkkoError ? error.message : String(error));
    }
  }
}
