import type { Command } from 'commander';
import { EkkoError } from '#vault/errors.ts';
import { LOCK_MODES, MOST_LOCK_DAYS, type VaultLock } from '#vault/words.ts';
import { addCommand, withKey } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { CommandContext, EveryCommand, Runner } from '../run-command.ts';
import { plainText } from '../text/plain-text.ts';

export interface InitOptions extends EveryCommand {
  readonly recipient?: readonly string[];
  /** False with `--no-escrow`. */
  readonly escrow: boolean;
  /** Text of a time. */
  readonly lock?: string;
  readonly lockMode?: string;
  readonly qr?: boolean;
  readonly qrFile?: string;
}

/** `ekko init VAULT` */
export function addInit(program: Command, run: Runner): void {
  const command = addCommand(program, 'init', 'VAULT', 'make a vault', 'ekko init /backups/web --key-file ~/ekko.key')
    .argument('<vault>', 'path or URL of a place that holds no vault yet')
    .option('--recipient <text...>', 'another key that shall open it: ekko-recipient-1:…, as its key file says')
    .option('--no-escrow', 'make no escrow code: if the key file is lost, all backups are')
    .option('--lock <time>', 'lock all that lasts for so long, in a bucket of S3 with Object Lock: 30d')
    .option('--lock-mode <mode>', 'governance, or compliance: nobody can ever lift it, you included', 'governance')
    .option('--qr', 'show the escrow code as a QR code too, on the terminal')
    .option(
      '--qr-file <file>',
      'write a page to print, with the code and its QR code: FILE.svg (or .png: QR code alone)',
    );
  withKey(command).action((vault: string, options: InitOptions) =>
    run(options, (context) => init(vault, options, context)),
  );
}

async function init(url: string, options: InitOptions, context: CommandContext): Promise<ExitCode> {
  const { screen, keyFile, journalFile } = context;
  const [{ openStore }, { makeVault, planVault, recipientText }, { describeKeys, describeVault }] = await Promise.all([
    import('#vault/store/open-store.ts'),
    import('../init/new-vault.ts'),
    import('../init/init-words.ts'),
  ]);
  const { checkQr, showCode } = await import('../escrow/renew-escrow.ts');
  checkQr(options, screen);
  const lock = await readLock(options);
  const store = await openStore(url);
  const recipients = options.recipient ?? [];
  const plan = await planVault(store, { keyFile, journalFile, recipients, noEscrow: !options.escrow, lock });
  screen.lines(...describeKeys(plan));
  const { id, journal, log, description } = await makeVault(store, plan);
  screen.lines(...describeVault(plan, store.url));
  if (plan.escrow !== undefined) {
    const { code, fingerprint: recipient } = plan.escrow;
    await showCode(screen, options, { code, vault: id, url: store.url, recipient, now: new Date() });
    const { confirmNow } = await import('../escrow/confirm-now.ts');
    if (!screen.json) await confirmNow(url, store, context, true);
  }
  screen.document({
    vault: { id, url: store.url },
    journal: { kind: description.journal, url: log.url },
    lock,
    keyFile: { path: plan.keyFile.path, isNew: plan.keyFile.isNew, recipient: recipientText(plan) },
    escrow: {
      state: journal.state().escrow,
      recipient: plan.escrow?.fingerprint ?? plan.second,
      code: plan.escrow?.code,
    },
  });
  return ExitCode.done;
}

async function readLock({ lock, lockMode = 'governance' }: InitOptions): Promise<VaultLock | undefined> {
  if (lock === undefined) return undefined;
  const [{ readDuration }, { readWord }] = await Promise.all([
    import('../arguments/read-duration.ts'),
    import('../arguments/read-value.ts'),
  ]);
  const days = readDuration(lock, '--lock') / 24;
  if (days >= 1 && days <= MOST_LOCK_DAYS) return { mode: readWord(lockMode, '--lock-mode', LOCK_MODES), days };
  throw new EkkoError('bad-input', `--lock is a time of 1d to ${MOST_LOCK_DAYS}d; found "${plainText(lock, 40)}".`);
}
