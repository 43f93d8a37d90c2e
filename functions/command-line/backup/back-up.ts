import type { RestorePoint } from '#vault/format/point.ts';
import { type CountedStore, openCountedStore } from '#vault/store/counted-store.ts';
import { openStore } from '#vault/store/open-store.ts';
import { roomForPart, withSharedStaging } from '#vault/store/shared-staging.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { type Interruption, watchSignals } from '../interruption.ts';
import { openStoredVault } from '../open-command-vault.ts';
import { openProgress } from '../progress/progress.ts';
import { runBackup } from '../run-backup.ts';
import type { CommandContext } from '../run-command.ts';
import type { BackupOptions } from './backup-options.ts';
import { watchBackup } from './backup-watch.ts';
import { openEmbeddedHost } from './open-host.ts';
import { openSource } from './open-source.ts';
import { planStaging } from './plan-staging.ts';

/** What a backup did. Bytes are of disk unless told. */
export interface BackupReport {
  readonly point: RestorePoint;
  readonly readBytes: number;
  /** From the first look at the vault to the commit. */
  readonly seconds: number;
  /** To the store, by this process; the functions' own are not in it. */
  readonly requests: Readonly<Record<'create' | 'get' | 'list' | 'remove', number>>;
}

/** Backs the disks up and shows how it goes. Throws what `runBackup` throws, and `Interrupted`. */
export async function backUp(url: string, options: BackupOptions, context: CommandContext): Promise<BackupReport> {
  const { screen } = context;
  const interruption = watchSignals(() => screen.remark('Ending cleanly; press Ctrl-C again to leave at once.'));
  try {
    return await backUpInto(openCountedStore(await openStore(url)), options, context, interruption);
  } finally {
    interruption.ignore();
  }
}

async function backUpInto(
  store: CountedStore,
  options: BackupOptions,
  context: CommandContext,
  { signal }: Interruption,
): Promise<BackupReport> {
  const began = performance.now();
  const { screen, verbose, keyFile = '', journalFile } = context;
  const { workers, level, group, quiesce, full, auditShare, bandwidth } = options;
  const log = verbose ? (line: string) => screen.remark(line) : undefined;
  const opened = await openStoredVault(store, context);
  await using source = closing(await openSource(options));
  const { memory, ...parts } = planStaging(workers, (await source.it.disks()).length);
  const vault = { ...opened, store: withSharedStaging(store, memory) };
  await using host = closing(
    openEmbeddedHost({ vault: store.url, keyFile, journalFile, workers, level, staging: memory, log }),
  );
  using progress = ending(await openProgress(screen, 'Reading', signal));
  const watch = watchBackup(screen, progress.it);
  const point = await runBackup({
    ...{ vault, group, quiesce, auditShare, bandwidth, signal, ...parts },
    memory: () => roomForPart(memory),
    host: host.it,
    watch: {
      ...watch,
      planned(moment, totalBytes, ofGroup) {
        // More than one part: the other threads will be needed.
        if (totalBytes > parts.partSegments * SEGMENT_SIZE) host.it.start(workers);
        watch.planned(moment, totalBytes, ofGroup);
      },
    },
    source: source.it,
    readAll: full ? 'asked-for' : undefined,
  });
  const seconds = (performance.now() - began) / 1000;
  return { point, readBytes: watch.readBytes(), seconds, requests: requestsOf(store) };
}

function requestsOf(store: CountedStore): BackupReport['requests'] {
  const [create, get, list, remove] = (['create', 'get', 'list', 'remove'] as const).map((verb) =>
    store.requests(verb),
  );
  return { create: create ?? 0, get: get ?? 0, list: list ?? 0, remove: remove ?? 0 };
}

function closing<T extends { close(): Promise<void> }>(it: T) {
  return { it, [Symbol.asyncDispose]: () => it.close() };
}

function ending<T extends { end(): void }>(it: T) {
  return { it, [Symbol.dispose]: () => it.end() };
}
