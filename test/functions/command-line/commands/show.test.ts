import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { PointDisk } from '#vault/format/point.ts';
import { keyFileProvider } from '#vault/keys/key-provider.ts';
import { writePoint } from '#vault/records.ts';
import { openFileStore } from '#vault/store/file-store.ts';
import { openVault } from '#vault/vault.ts';
import { makeVault, planVault } from '../../../../functions/command-line/init/new-vault.ts';
import { runProgram } from '../../../../functions/command-line/program.ts';
import { exampleTopology } from '../../../example-topology.ts';
import { captureStreams } from '../captured-streams.ts';

const RUN = '20261121-030000-aabbcc';
const AT = '2026-11-21T03:00:02.000Z';
const DISK: PointDisk = {
  ...{ name: 'vda', manifest: 'ab'.repeat(32), diskSize: 1, origin: 'vda', takenAt: AT },
  ...{ base: undefined, fullReason: 'first-backup', consistency: 'crash', consistencyNote: '', frozenMs: 0 },
  ...{ assurance: { auditedSegments: 0, auditFailures: 0 }, changedBytes: 0, newBytes: 0, storedBytes: 0 },
};

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-show-'));
  const store = await openFileStore(join(folder, 'vault'));
  const keyFile = join(folder, 'key');
  await makeVault(store, await planVault(store, { keyFile, recipients: [], noEscrow: true }));
  const vault = await openVault(store, keyFileProvider(keyFile));
  const point = { id: RUN, group: 'shop', takenAt: AT, disks: [DISK], topology: exampleTopology() };
  const name = await writePoint(vault, point);
  const run = { run: RUN, group: 'shop', at: AT };
  await vault.journal.append(() => ({ type: 'run-started', ...run, disks: ['vda'], host: 'here' }));
  await vault.journal.append(() => ({ type: 'point-committed', ...run, point: name, takenAt: AT, disks: [] }));
});
afterEach(() => rm(folder, { recursive: true }));

async function show(...more: string[]): Promise<unknown> {
  const captured = captureStreams({ EKKO_KEY_FILE: join(folder, 'key') });
  expect(await runProgram(['show', join(folder, 'vault'), RUN, '--json', ...more], captured)).toBe(0);
  return JSON.parse(captured.said.output());
}

test('what a point was built of is in the document only where it is asked for: it may hold secrets', async () => {
  const shown = await show();
  expect(shown).toMatchObject({ point: { id: RUN, group: 'shop' } });
  expect(JSON.stringify(shown)).not.toMatch(/topology|userData|template/);
  expect(await show('--topology')).toEqual({ point: RUN, topology: exampleTopology() });
});
