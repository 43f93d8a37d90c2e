import type { Command } from 'commander';
import { addCommand, withEvery, withKeyOrCode } from '../command-options.ts';
import { ExitCode } from '../exit-codes.ts';
import type { AddedKey } from '../key/add-key.ts';
import type { EveryCommand, Runner } from '../run-command.ts';

const VAULT = 'path or URL of the vault';

/** `ekko key new FILE`, `ekko key list|add|remove|rotate|check VAULT` */
export function addKeyCommands(program: Command, run: Runner): void {
  const key = program
    .command('key')
    .summary('say who can open a vault: list, add, remove, rotate, check keys')
    .usage('new|list|add|remove|rotate|check VAULT [OPTIONS]')
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
    .addHelpText('after', '\nExample:\n  ekko key check /backups/web --escrow-code');
  for (const add of [addNew, addList, addAdd, addRemove, addRotate, addCheck]) add(key, run);
}

function addNew(key: Command, run: Runner): void {
  const command = addCommand(key, 'new', 'FILE', 'make a key file; it opens nothing yet', 'ekko key new ~/ekko.key');
  withEvery(command.argument('<file>', 'where to write it; nothing is overwritten')).action(
    (file: string, options: EveryCommand) =>
      run(options, async ({ screen }) => {
        const { describeNewKey, newKey } = await import('../key/new-key.ts');
        const report = await newKey(file);
        screen.lines(...describeNewKey(report));
        screen.document(report);
        return ExitCode.done;
      }),
  );
}

function addList(key: Command, run: Runner): void {
  const summary = 'list the keys that open a vault, and those that did';
  const command = addCommand(key, 'list', 'VAULT', summary, 'ekko key list /backups/web');
  withKeyOrCode(command.argument('<vault>', VAULT)).action((vault: string, options: EveryCommand) =>
    run(options, async (context) => {
      const [{ openCommandVault }, { describeKeys, listKeys }] = await Promise.all([
        import('../open-command-vault.ts'),
        import('../key/list-keys.ts'),
      ]);
      const report = listKeys(await openCommandVault(vault, context));
      context.screen.lines(...describeKeys(report));
      context.screen.document(report);
      return ExitCode.done;
    }),
  );
}

function addAdd(key: Command, run: Runner): void {
  const example = 'ekko key add /backups/web --recipient ekko-recipient-1:… --label "desk in Bonn"';
  const command = addCommand(key, 'add', 'VAULT', 'let another key open a vault', example)
    .argument('<vault>', VAULT)
    .option('--recipient <text>', 'its recipient: ekko-recipient-1:…, as `ekko key new` prints it')
    .option('--recipient-file <file>', 'a file that holds it')
    .option('--new-passphrase', 'a passphrase, which is asked for twice')
    .option('--new-passphrase-file <file>', 'the same, from a file that only you can read')
    .option('--label <text>', 'what to call it; anybody who has the store can read that');
  withKeyOrCode(command).action((vault: string, given: AddedKey & EveryCommand) =>
    run(given, async (context) => {
      const { addKey, describeAddedKey } = await import('../key/add-key.ts');
      const report = await addKey(vault, given, context);
      context.screen.lines(...describeAddedKey(vault, report));
      context.screen.document(report);
      return ExitCode.done;
    }),
  );
}

const ALONE = 'even if one key alone opens the vault afterwards';

function addRemove(key: Command, run: Runner): void {
  const summary = 'remove a key: rotates, and what is written from then on it cannot read';
  const command = addCommand(key, 'remove', 'VAULT KEY...', summary, 'ekko key remove /backups/web "desk in Bonn"')
    .argument('<vault>', VAULT)
    .argument('<key...>', 'its label, its fingerprint or the beginning of that, or its recipient')
    .option('--no-escrow', ALONE);
  withKeyOrCode(command).action((vault: string, keys: readonly string[], given: EveryCommand & { escrow: boolean }) =>
    run(given, (context) => rotateAndTell(vault, keys, given.escrow, context)),
  );
}

function addRotate(key: Command, run: Runner): void {
  const summary = 'begin a new key epoch: what is written from then on is under a new key';
  const command = addCommand(key, 'rotate', 'VAULT', summary, 'ekko key rotate /backups/web')
    .argument('<vault>', VAULT)
    .option('--remove <key...>', 'keys that shall not open it: label, fingerprint or recipient')
    .option('--no-escrow', ALONE);
  withKeyOrCode(command).action(
    (vault: string, given: EveryCommand & { escrow: boolean; remove?: readonly string[] }) =>
      run(given, (context) => rotateAndTell(vault, given.remove ?? [], given.escrow, context)),
  );
}

async function rotateAndTell(
  vault: string,
  remove: readonly string[],
  escrow: boolean,
  context: Parameters<typeof import('../key/rotate.ts').rotate>[2],
): Promise<ExitCode> {
  const { describeRotation, rotate } = await import('../key/rotate.ts');
  const report = await rotate(vault, { remove, noEscrow: !escrow }, context);
  context.screen.lines(...describeRotation(report));
  context.screen.document(report);
  return ExitCode.done;
}

function addCheck(key: Command, run: Runner): void {
  const summary = 'try whether a key restores a vault: a drill, which changes nothing';
  const command = addCommand(key, 'check', 'VAULT', summary, 'ekko key check /backups/web --escrow-code');
  withKeyOrCode(command.argument('<vault>', VAULT)).action((vault: string, options: EveryCommand) =>
    run(options, async (context) => {
      const [{ checkKey }, { describeDrill }] = await Promise.all([
        import('../key/check-key.ts'),
        import('../key/describe-drill.ts'),
      ]);
      const report = await checkKey(vault, context);
      context.screen.lines(...describeDrill(report));
      context.screen.document(report);
      return report.missing.length === 0 ? ExitCode.done : ExitCode.damaged;
    }),
  );
}
