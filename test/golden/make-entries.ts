import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeEntry, NO_DIGEST } from '#vault/format/journal-entry.ts';
import { deriveEpochKeys } from '#vault/keys/epoch-keys.ts';
import { contentName } from '#vault/store/object-names.ts';
import { EVERY_TYPE } from '../functions/vault/journal/histories.ts';

/** Makes the golden journal of a format version, one entry of every type, once: `node test/golden/make-entries.ts`. */
const keys = deriveEpochKeys(Buffer.alloc(32, 1), 'golden', 1);
let digest = NO_DIGEST;
const golden = EVERY_TYPE.map((entry, i) => {
  const stored = encodeEntry(keys, i + 1, digest, entry);
  digest = contentName([stored]);
  return { entry, hex: stored.toString('hex') };
});
await writeFile(join(import.meta.dirname, 'journal', 'entries.json'), `${JSON.stringify(golden, null, 2)}\n`);
