import type { VaultLock } from '#vault/words.ts';
import { escrowPaper } from '../escrow/escrow-paper.ts';
import { formatFields } from '../text/table.ts';
import { recipientText, type VaultPlan } from './new-vault.ts';

/** What must be known before the vault is there: the new key file, and the code to write down. */
export function describeKeys(plan: VaultPlan): string[] {
  return [...(plan.keyFile.isNew ? newKeyFile(plan) : []), ...(plan.escrow ? escrowPaper(plan.escrow.code) : [])];
}

function newKeyFile({ keyFile }: VaultPlan): string[] {
  return [
    `A new key was written to ${keyFile.path}.`,
    'Whoever has it can read every backup; without it nothing can be restored. Keep a copy in another place.',
    '',
  ];
}

/** What was made. `url` as the store calls it. */
export function describeVault(plan: VaultPlan, url: string): string[] {
  const { keyFile, escrow, second, lock } = plan;
  const escrowText =
    second !== undefined ? `not needed: a second key (${second}) opens it` : noEscrow(escrow !== undefined);
  return [
    `The vault in ${url} is ready.`,
    ...formatFields([
      ['key file', keyFile.path],
      ['recipient', recipientText(plan)],
      ['escrow', escrowText],
      [
        'journal',
        plan.journalFile && `in the database that ${plan.journalFile} names; keep naming it by --journal-file`,
      ],
      ['lock', lock && lockWords(lock)],
    ]),
  ];
}

function lockWords({ mode, days }: VaultLock): string {
  const held = `${mode}, ${days} days from when it was last needed`;
  return mode === 'governance'
    ? `${held}: only who may bypass it can remove anything earlier`
    : `${held}: NOBODY can remove anything earlier, or shorten that; it is paid for so long`;
}

function noEscrow(hasCode: boolean): string {
  return hasCode ? 'a code that is to be confirmed' : 'none: if the key file is lost, all backups are';
}
