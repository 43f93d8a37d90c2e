import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { segmentId } from '#vault/dedupe/segment-id.ts';
import { samplesOf, writeSamples } from '#vault/dedupe/similarity.ts';
import { newPack } from '#vault/format/pack.ts';
import { keyFileProvider } from '#vault/keys/key-provider.ts';
import { abandonRun, startRun } from '#vault/runs.ts';
import { openFileStore } from '#vault/store/file-store.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openVault } from '#vault/vault.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { runBackup } from '../../functions/command-line/run-backup.ts';
import { movePacks } from '../../functions/sweeper/move-packs.ts';
import { sweepVault } from '../../functions/sweeper/sweep-vault.ts';
import { openInlineHost } from '../model/inline-host.ts';
import { newModelGuest } from '../model/model-guest.ts';

/**
 * Adds to the golden vault what moves and sweeps write, once: `node test/golden/grow-vault.ts test/golden/v1`, after make-vault.ts. A
 * disk of which two points are taken; the first is deleted and swept, and the pack that both needed is compacted and removed. A run
 * that is open meanwhile makes an orphan wait, of which a sweep leaves a note. What make-vault.ts made stays.
 */
const [folder = ''] = process.argv.slice(2);
const expectedFile = join(folder, 'expected.json');
const expected = JSON.parse(await readFile(expectedFile, 'utf8'));
const files = openFileStore(join(folder, 'vault'));
// The part that an abandoned run has staged is an example too, and so are older states.
const kept = (key: string) => key.startsWith(`${Folder.staging}${expected.abandoned}/`) || key.startsWith(Folder.states);
const store: ObjectStore = { ...files, remove: (keys) => files.remove(keys.filter((key) => !kept(key))) };
const vault = await openVault(store, keyFileProvider(join(folder, 'key')));
const guest = newModelGuest({ name: 'moved', segments: 24, missing: 0, dead: () => false });
const QUIET = { planned: () => undefined, read: () => undefined, staged: () => undefined, distrusted: () => undefined };

function backUp() {
  return runBackup({
    ...{ vault, host: openInlineHost(vault), source: guest, group: 'moved', quiesce: 'never', readAll: undefined },
    ...{ auditShare: 0, bandwidth: undefined, partSegments: 24, partsWaiting: 2, watch: QUIET },
  });
}

for (let i = 0; i < 24; i++) guest.write(i, 100 + i);
const gone = await backUp();
for (let i = 0; i < 24; i++) if (i % 5 !== 0) guest.write(i, 200 + i);
const stays = await backUp();
const image = guest.moments.get(stays.id) ?? Buffer.alloc(0);
const now = new Date();
await vault.journal.append(() => ({ type: 'points-expired', points: [gone.id], reason: 'example', at: now.toISOString() }));
const sweep = () => sweepVault(vault, { now, graceHours: 0 });
await sweep();
const { moved } = await movePacks(vault, { now, below: 1, leastGain: 1 });
await sweep();
// An orphan, as a run leaves it that dies between its pack and its receipt, and a run that is open when it is first seen.
const open = await startRun(vault, { group: 'moved', disks: ['moved'], host: 'host', process: '1@boot' }, now);
const segment = Buffer.alloc(SEGMENT_SIZE, 'orphan');
const ids = [segmentId(vault.keyring.newest, segment)];
const writer = newPack(vault.keyring.newest, 1);
writer.addFrame(segment, ids);
const { name, reference, pieces } = writer.finish();
await store.create(contentKey(Folder.packs, name), pieces);
await writeSamples(store, reference, samplesOf(ids));
await sweep();
await abandonRun(vault, open, 'left as an example', now);

expected.points[stays.id] = { sha256: createHash('sha256').update(image).digest('hex'), diskSize: image.length };
expected.moved = [...vault.journal.state().moved].map(([pack, move]) => ({ pack, move }));
expected.waiting = [{ kind: 'packs', stage: 'seen', runs: [open], names: [name] }];
if (moved.packs !== expected.moved.length) throw new Error('Nothing was moved.');
await writeFile(expectedFile, `${JSON.stringify(expected, null, 2)}\n`);
