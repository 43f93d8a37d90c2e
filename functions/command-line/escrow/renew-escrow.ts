import { label as checkLabel } from '#vault/format/fields.ts';
import { addRecipient } from '#vault/key-epochs/add-recipient.ts';
import { newEscrow } from '#vault/keys/escrow-code.ts';
import { fingerprintOf } from '#vault/keys/identity.ts';
import { openToChange } from '../key/open-to-change.ts';
import type { CommandContext } from '../run-command.ts';
import type { Screen } from '../screen.ts';
import { confirmNow } from './confirm-now.ts';
import { checkPageFile, type EscrowPage, writeEscrowPage } from './escrow-page.ts';
import { escrowPaper } from './escrow-paper.ts';
import { checkTerminal, showQr } from './qr-code.ts';

export interface EscrowOptions {
  readonly label?: string;
  /** Show the code as a QR code on the terminal. */
  readonly qr?: boolean;
  /** Where to write a page with both. */
  readonly qrFile?: string;
}

/** Throws `bad-input` for a QR code that cannot be shown or written, before there is a code to lose. */
export function checkQr({ qr, qrFile }: EscrowOptions, screen: Screen): void {
  if (qr) checkTerminal(screen);
  if (qrFile !== undefined) checkPageFile(qrFile);
}

/** Shows and writes the code as it was asked for. */
export async function showCode(screen: Screen, { qr, qrFile }: EscrowOptions, page: EscrowPage): Promise<void> {
  if (qr) await showQr(screen, page.code);
  if (qrFile === undefined) return;
  await writeEscrowPage(qrFile, page);
  screen.lines(`The code was written to ${qrFile}. Print it, and delete the file.`);
}

export interface NewEscrowReport {
  readonly state: string;
  readonly recipient: string;
  /** Secret; shown only now. */
  readonly code: string;
}

/** Makes another escrow code for a vault. The old one opens it, too, until it is removed. Throws what opening the vault and `addRecipient` throw. */
export async function renewEscrow(
  url: string,
  options: EscrowOptions,
  context: CommandContext,
): Promise<NewEscrowReport> {
  const { screen } = context;
  const label = options.label === undefined ? {} : { label: checkLabel(options.label, 'The label') };
  const vault = await openToChange(url, context);
  const { code, publicKey } = newEscrow();
  const recipient = fingerprintOf(publicKey);
  // Before it opens anything: a crash in between leaves paper that is of no use, and not a code that nobody has.
  screen.lines(...escrowPaper(code));
  await showCode(screen, options, { code, vault: vault.id, url: vault.store.url, recipient, now: new Date() });
  await addRecipient(vault, { kind: 'escrow', publicKey, ...label }, new Date());
  screen.lines(`The code opens the vault from now on (key ${recipient}). Older codes do so until they are removed.`);
  if (!screen.json) await confirmNow(url, vault.store, context, vault.journal.state().escrow === 'missing');
  return { state: (await vault.journal.refresh()).escrow, recipient, code };
}
