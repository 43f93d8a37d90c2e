import { rotateKeys } from '#vault/key-epochs/rotate-keys.ts';
import { nameKey } from '#vault/keys/wanted-keys.ts';
import type { CommandContext } from '../run-command.ts';
import { findRecipient } from './find-recipient.ts';
import { type KeyList, listKeys } from './list-keys.ts';
import { openToChange } from './open-to-change.ts';

export interface RotateOptions {
  /** Recipients that shall not open the new epoch, as people call them. */
  readonly remove: readonly string[];
  readonly noEscrow: boolean;
}

export interface RotateReport extends KeyList {
  /** The epoch that began. */
  readonly epoch: number;
  readonly newlyRemoved: readonly string[];
}

/** Begins a new key epoch. Throws `bad-input`, and what opening the vault and `rotateKeys` throw. */
export async function rotate(
  url: string,
  { remove, noEscrow }: RotateOptions,
  context: CommandContext,
): Promise<RotateReport> {
  const vault = await openToChange(url, context);
  const state = vault.journal.state();
  const newlyRemoved = [...new Set(remove.map((text) => findRecipient(state, text).recipient))];
  const { epochs } = await rotateKeys(vault, { remove: newlyRemoved, noEscrow, now: new Date() });
  return { ...listKeys(vault), epoch: epochs.length, newlyRemoved };
}

export function describeRotation({ epoch, newlyRemoved, recipients, removed, escrow }: RotateReport): string[] {
  const gone = removed.filter(({ recipient }) => newlyRemoved.includes(recipient));
  return [
    `Key epoch ${epoch} began: from now on everything is written under a new key, which these open:`,
    ...recipients.map((each) => `  ${nameKey(each)}`),
    ...gone.map((each) => `Removed: ${nameKey(each)}.`),
    ...(gone.length > 0 ? REMOVED : []),
    ...(escrow === 'waived' && recipients.length === 1 ? [ALONE] : []),
    'Backups go on incrementally; the next one that reads a disk in full stores it anew, under the new key.',
  ];
}

const REMOVED = [
  'Who had that key may have copied what was backed up before: no rotation takes that back.',
  'Take away its right to the store, too: with the old key and that right the vault can be set back to before now.',
];
const ALONE = 'One key alone opens the vault. If it is lost, all backups are.';
