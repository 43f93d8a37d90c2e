import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lacks } from '../setup/cache.ts';
import { showFileBackup } from './file-backup.ts';
import { showGuestBackup } from './guest-backup.ts';

/** `npm start`: the main job for real, on a small guest; without QEMU, on an image file. */
const folder = await mkdtemp(join(tmpdir(), 'ekko-'));
try {
  if (lacks('qemu', 'guest')) {
    console.log('\nQEMU or its guest cannot be had here, so this backs up an image file instead of a running guest.');
    await showFileBackup(folder);
  } else {
    await showGuestBackup(folder);
  }
  console.log(`
What to try next, in this folder:
  export EKKO_KEY_FILE=~/ekko.key
  npx ekko init /tmp/my-vault
  npx ekko backup /tmp/my-vault SOME-DISK.img
  npx ekko points /tmp/my-vault
  npx ekko --help
README.md has the picture; npm run bench measures against restic and borg.`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
