import { scryptSync } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { segmentId } from '#vault/dedupe/segment-id.ts';
import { addRecipient } from '#vault/key-epochs/add-recipient.ts';
import { rotateKeys } from '#vault/key-epochs/rotate-keys.ts';
import { newEscrow } from '#vault/keys/escrow-code.ts';
import { identityOf } from '#vault/keys/identity.ts';
import { createKeyFile } from '#vault/keys/key-file.ts';
import { keyFileProvider } from '#vault/keys/key-provider.ts';
import { abandonRun, startRun, ticketFor } from '#vault/runs.ts';
import { openFileStore } from '#vault/store/file-store.ts';
import { createVault, openVault } from '#vault/vault.ts';
import { exportDisk } from '#vault/staging/export-disk.ts';
import { runBackup } from '../../functions/command-line/run-backup.ts';
import { openInlineHost } from '../model/inline-host.ts';
import { newModelGuest } from '../model/model-guest.ts';

/**
 * Makes the golden vault of a format version, once: `node test/golden/make-vault.ts test/golden/v1`. Its bytes are then kept
 * for ever, and every later Ekko must read them. Two points of one disk, a run that was abandoned with a part staged, and, under a second
 * key epoch that a passphrase opens too, a third point.
 */
const [folder = ''] = process.argv.slice(2);
const keyFile = join(folder, 'key');
const QUIET = { planned: () => undefined, read: () => undefined, staged: () => undefined, distrusted: () => undefined };

await mkdir(folder, { recursive: true });
const identity = await createKeyFile(keyFile);
const escrow = newEscrow();
await writeFile(join(folder, 'escrow-code.txt'), `${escrow.code}\n`);
const store = openFileStore(join(folder, 'vault'));
await createVault(store, {
  recipients: [
    { kind: 'key-file', publicKey: identity.publicKey, label: 'golden' },
    { kind: 'escrow', publicKey: escrow.publicKey },
  ],
  noEscrow: true,
  now: new Date('2026-01-02T03:04:05Z'),
});
const vault = await openVault(store, keyFileProvider(keyFile));
const guest = newModelGuest({ name: 'disk', segments: 40, missing: 1000, dead: () => false });
for (let i = 0; i < 40; i += 3) guest.write(i, i + 1);
const points: Record<string, { sha256: string; diskSize: number }> = {};

async function backUp(): Promise<void> {
  const { createHash } = await import('node:crypto');
  const point = await runBackup({
    vault,
    host: openInlineHost(vault),
    source: guest,
    group: 'default',
    quiesce: 'never',
    readAll: undefined,
    auditShare: 1,
    bandwidth: undefined,
    partSegments: 8,
    partsWaiting: 2,
    watch: QUIET,
  });
  const image = guest.moments.get(point.id) ?? Buffer.alloc(0);
  points[point.id] = { sha256: createHash('sha256').update(image).digest('hex'), diskSize: image.length };
}

await backUp();
guest.write(5, 500);
guest.write(6, 0);
await backUp();

const abandoned = await startRun(vault, { group: 'default', disks: ['disk'], host: 'host', process: '1@boot' }, new Date());
guest.write(7, 700);
const request = { run: abandoned, known: () => undefined, newest: () => undefined, readAll: 'asked-for', quiesce: 'never', auditShare: 0 } as const;
await exportDisk(await guest.take(request), 0, ticketFor(vault, abandoned, 0), undefined, {
  staging: store,
  notice: async () => undefined,
  progress: () => undefined,
  bandwidth: undefined,
  partSegments: 16,
});
await abandonRun(vault, abandoned, 'left as an example', new Date());
const runToken = vault.keyring.newest.runToken(abandoned, 0).toString('hex');

await rotateKeys(vault, { remove: [], noEscrow: false, now: new Date() });
const passphrase = 'correct horse battery staple';
await writeFile(join(folder, 'passphrase.txt'), `${passphrase}\n`);
// The least that is allowed: tests open it.
const scrypt = { salt: Buffer.alloc(16, 5).toString('base64'), n: 2 ** 15, r: 8, p: 1 };
const options = { N: scrypt.n, r: scrypt.r, p: scrypt.p, maxmem: 2 ** 26 };
const { publicKey } = identityOf(scryptSync(passphrase, Buffer.from(scrypt.salt, 'base64'), 32, options));
await addRecipient(vault, { kind: 'passphrase', publicKey, scrypt }, new Date());
guest.write(9, 900);
await backUp();

const zeroSegmentIds = [1, 2].map((epoch) =>
  segmentId(vault.keyring.epoch(epoch, 'It'), Buffer.alloc(65_536)).toString('hex'),
);
const expected = { vault: vault.id, points, abandoned, stagedSegments: [7, 8], zeroSegmentIds, runToken };
await writeFile(join(folder, 'expected.json'), `${JSON.stringify(expected, null, 2)}\n`);
