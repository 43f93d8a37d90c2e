import type { RestorePoint } from '#vault/format/point.ts';
import type { ChangedBlockSource } from '#vault/staging/changed-block-source.ts';
import { Folder } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import type { Vault } from '#vault/vault.ts';
import { runBackup } from '../../functions/command-line/run-backup.ts';
import { openInlineHost, PROMPT } from './inline-host.ts';

export interface BackUpTo {
  readonly source: ChangedBlockSource;
  /** Where staged parts and receipts lie: they come and go, and a far store would only take long over them. */
  readonly staging: ObjectStore;
  readonly partSegments: number;
}

const QUIET = { planned: () => undefined, read: () => undefined, staged: () => undefined, distrusted: () => undefined };
const SHORT_LIVED = [Folder.staging, Folder.receipts, Folder.samples];

/** Backs up into a vault wherever it lies; what lasts goes to its store. */
export function backUpTo(vault: Vault, { source, staging, partSegments }: BackUpTo): Promise<RestorePoint> {
  const near = { ...vault, store: split(vault.store, staging) };
  return runBackup({
    vault: near,
    host: openInlineHost(near, PROMPT),
    ...{ source, group: 'default', quiesce: 'never', readAll: undefined, auditShare: 0, bandwidth: undefined },
    ...{ partSegments, partsWaiting: 8, watch: QUIET },
  });
}

function split(lasting: ObjectStore, staging: ObjectStore): ObjectStore {
  const at = (key: string) => (SHORT_LIVED.some((folder) => key.startsWith(folder)) ? staging : lasting);
  return {
    ...lasting,
    create: (key, body, options) => at(key).create(key, body, options),
    get: (key, range) => at(key).get(key, range),
    list: (prefix, options) => at(prefix).list(prefix, options),
    remove: async (keys) => {
      const kept = await lasting.remove(keys.filter((key) => at(key) === lasting));
      await staging.remove(keys.filter((key) => at(key) === staging));
      return kept;
    },
  };
}
