import { createSecretKey } from 'node:crypto';
import { openReader } from '#vault/restore/open-reader.ts';
import { restoreDisk } from '../../../host-exporter/restore/restore-disk.ts';
import type { ChildRequest, PortableSettings } from './child-restore.ts';

/** A restore in a process of its own, so that it can be killed and measured: gets its request by message, tells progress and result. */
process.once('message', async ({ settings, ...request }: ChildRequest) => {
  const entry = new URL('../../../host-exporter/restore/restore-worker.ts', import.meta.url);
  const result = await restoreDisk({
    ...request,
    reader: await openPortable(settings),
    threads: { count: 2, entry },
    onProgress: (progress) => process.send?.({ progress }),
  });
  process.send?.({ result, rss: process.resourceUsage().maxRSS * 1024 });
  process.disconnect();
});

function openPortable({ url, epochs }: PortableSettings) {
  const staging = { publicKey: Buffer.alloc(32), privateKey: Buffer.alloc(32) };
  const keys = epochs.map(({ idKey, sealKey, journalKey, ...rest }) => ({
    ...rest,
    staging,
    idKey: createSecretKey(idKey),
    sealKey: createSecretKey(sealKey),
    journalKey: createSecretKey(journalKey),
  }));
  return openReader({ url, epochs: keys });
}
