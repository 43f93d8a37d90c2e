import { readManifest } from '#vault/records.ts';
import { openDiskReader } from '#vault/restore/read-disk.ts';
import type { Vault } from '#vault/vault.ts';
import { segmentsOf } from '#vault/words.ts';

/** A disk of a restore point, expired or not, as a restore would write it; without a name, the first. */
export async function restored(vault: Vault, run: string, name?: string): Promise<Buffer> {
  const { points, expired } = await vault.journal.refresh();
  const disks = (points.get(run) ?? expired.get(run))?.disks ?? [];
  const disk = name === undefined ? disks[0] : disks.find((each) => each.name === name);
  if (disk === undefined) throw new Error(`There is no disk ${name ?? ''} in restore point ${run}.`);
  const image = Buffer.alloc(disk.size, 0xff);
  const reader = openDiskReader(vault, { bestEffort: false });
  const manifest = await readManifest(vault, disk.manifest);
  for await (const piece of reader.read(manifest, { first: 0, count: segmentsOf(disk.size) })) {
    if (piece.kind === 'data') piece.bytes.copy(image, piece.offset);
    else image.fill(0, piece.offset, piece.offset + piece.length);
  }
  return image;
}
