import { EkkoError } from '#vault/errors.ts';
import { digestInName, newImageDigest } from '#vault/images.ts';
import { readManifest, type VaultReader } from '#vault/records.ts';
import { openDiskReader } from '#vault/restore/read-disk.ts';
import { SEGMENT_SIZE, segmentsOf } from '#vault/words.ts';

/**
 * Reads an image back and compares its content with the digest that is its name: others' disks will be built on it, whoever staged it. A disk
 * that is no image is not looked at. Throws `part-refused`, and what reading throws.
 */
export async function checkImage(vault: VaultReader, disk: string, manifest: string): Promise<void> {
  const digest = digestInName(disk);
  if (digest === undefined) return;
  const found = await digestOf(vault, manifest);
  if (found === digest) return;
  throw new EkkoError(
    'part-refused',
    `What was staged as ${disk} has the digest ${found}: it is another image. Abandon the run; disks on it are read in full meanwhile.`,
  );
}

async function digestOf(vault: VaultReader, name: string): Promise<string> {
  const manifest = await readManifest(vault, name);
  const sum = newImageDigest(manifest.diskSize);
  const all = { first: 0, count: segmentsOf(manifest.diskSize) };
  for await (const piece of openDiskReader(vault, { bestEffort: false }).read(manifest, all)) {
    if (piece.kind !== 'data') continue;
    for (let at = 0; at < piece.length; at += SEGMENT_SIZE) {
      const bytes = piece.bytes.subarray(at, Math.min(at + SEGMENT_SIZE, piece.length));
      sum.add((piece.offset + at) / SEGMENT_SIZE, bytes);
    }
    piece.done();
  }
  return sum.finish();
}
