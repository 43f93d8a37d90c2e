import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createKeyFile } from '#vault/keys/key-file.ts';
import { keyFileProvider } from '#vault/keys/key-provider.ts';
import { readPoint } from '#vault/records.ts';
import { openFileStore } from '#vault/store/file-store.ts';
import { keepTopology } from '#vault/topologies.ts';
import { createVault, openVault } from '#vault/vault.ts';
import { runBackup } from '../../../functions/command-line/run-backup.ts';
import { exampleTopology } from '../../example-topology.ts';
import { openInlineHost } from '../../model/inline-host.ts';
import { newModelGuest } from '../../model/model-guest.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-committer-'));
  // Of a run of slower tests beside this one; settings that are unknown are refused.
  vi.stubEnv('EKKO_TEST_SERVICES', undefined);
  vi.stubEnv('EKKO_VAULT', join(folder, 'vault'));
  vi.stubEnv('EKKO_KEY_FILE', join(folder, 'key'));
  vi.stubEnv('POWERTOOLS_LOG_LEVEL', 'SILENT');
  vi.stubEnv('POWERTOOLS_METRICS_DISABLED', 'true');
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

test('a point is committed with its topology, and the answer, which workflows see, is without', async () => {
  const { publicKey } = await createKeyFile(join(folder, 'key'));
  const store = openFileStore(join(folder, 'vault'));
  await createVault(store, { recipients: [{ kind: 'key-file', publicKey }], noEscrow: true, now: new Date() });
  const vault = await openVault(store, keyFileProvider(join(folder, 'key')));
  const inline = openInlineHost(vault);
  const { handler } = await import('../../../functions/point-committer/handler.ts');
  const nothing = () => undefined;
  const answer = await runBackup({
    ...{ vault, source: newModelGuest({ name: 'disk', segments: 4, missing: 0, dead: () => false }), group: 'shop' },
    host: {
      ...inline,
      invoke: (name, event) => (name === 'point-committer' ? handler(event) : inline.invoke(name, event)),
    },
    ...{ quiesce: 'never', readAll: undefined, auditShare: 0, bandwidth: undefined, partSegments: 4, partsWaiting: 2 },
    keepTopology: async (run) => {
      await keepTopology(vault, run, exampleTopology());
      return true;
    },
    watch: { planned: nothing, read: nothing, staged: nothing, distrusted: nothing },
  });
  expect(answer).not.toHaveProperty('topology');
  const committed = (await vault.journal.refresh()).points.get(answer.id);
  expect((await readPoint(vault, committed?.point ?? '')).topology).toEqual(exampleTopology());
});
