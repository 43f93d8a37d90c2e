// Backs up in this one thread, and prints what the store was asked for: count-requests.ts VAULT KEY-FILE file IMAGE | guest SOCKET FOLDER
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { keyFileProvider } from '#vault/keys/key-provider.ts';
import type { ChangedBlockSource } from '#vault/staging/changed-block-source.ts';
import { openCountedStore } from '#vault/store/counted-store.ts';
import { openStore } from '#vault/store/open-store.ts';
import { openVault } from '#vault/vault.ts';
import { runBackup } from '../../functions/command-line/run-backup.ts';
import { openFileSource } from '../../host-exporter/changed-blocks/file-source.ts';
import { openQemuSource } from '../../host-exporter/changed-blocks/qemu-source.ts';
import { openInlineHost } from '../model/inline-host.ts';

const [url = '', keyFile = '', kind, place = '', folder = ''] = process.argv.slice(2);

async function openSource(): Promise<ChangedBlockSource> {
  if (kind === 'file') return openFileSource([{ path: place, name: 'counted' }]);
  const [scratchDirectory, stateDirectory] = [join(folder, 'scratch'), join(folder, 'state')];
  for (const each of [scratchDirectory, stateDirectory]) await mkdir(each, { recursive: true });
  return openQemuSource({ qmpSocket: place, scratchDirectory, stateDirectory });
}

const store = openCountedStore(await openStore(url));
const vault = await openVault(store, keyFileProvider(keyFile));
const source = await openSource();
await runBackup({
  ...{ vault, source, host: openInlineHost(vault), group: 'default', quiesce: 'never' },
  ...{ readAll: undefined, auditShare: 0.001, bandwidth: undefined },
  // As the command line has it.
  ...{ partSegments: 512, partsWaiting: 1 },
  watch: { planned() {}, read() {}, staged() {}, distrusted() {} },
});
await source.close();
console.log(JSON.stringify(store.counts()));
