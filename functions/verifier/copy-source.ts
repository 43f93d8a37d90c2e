import { EkkoError } from '#vault/errors.ts';
import type { Manifest } from '#vault/format/manifest.ts';
import { readManifest } from '#vault/records.ts';
import { openDiskReader } from '#vault/restore/read-disk.ts';
import type { Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE, type SegmentRun } from '#vault/words.ts';
import { problemOf } from './problem.ts';
import type { OfferedSegment, SegmentSource } from './segment-source.ts';

/**
 * The copies in `other` of restore points of the vault of that id, each opened by the other vault's key and compared with its own
 * ids. Throws `bad-input` where it has none.
 */
export function openCopySource(other: Vault, vault: string): SegmentSource {
  const manifests = new Map<string, string>();
  const { points, expired } = other.journal.state();
  for (const { copyOf, disks } of [...expired.values(), ...points.values()]) {
    if (copyOf?.vault !== vault) continue;
    for (const { name, manifest } of disks) manifests.set(`${copyOf.run} ${name}`, manifest);
  }
  const { url } = other.store;
  if (manifests.size === 0)
    throw new EkkoError('bad-input', `${url} is no replica of the vault, and has no copies of its restore points.`);
  const reader = openDiskReader(other, { bestEffort: true });
  const maps = new Map<string, Promise<Manifest>>();

  const mapOf = (manifest: string) => {
    const map = maps.get(manifest) ?? readManifest(other, manifest);
    maps.set(manifest, map);
    return map;
  };

  return {
    name: url,
    vouched: true,
    offers: (run, disk) => manifests.get(`${run} ${disk}`),
    async *read(volume, runs, onFault) {
      const manifest = await mapOf(volume).catch((error: unknown) => onFault(problemOf(error).message));
      if (manifest === undefined) return;
      for (const run of runs) yield* readRun(reader, manifest, run, onFault);
    },
    close: async () => undefined,
  };
}

async function* readRun(
  reader: ReturnType<typeof openDiskReader>,
  manifest: Manifest,
  run: SegmentRun,
  onFault: (message: string) => void,
): AsyncGenerator<OfferedSegment> {
  const last = Buffer.alloc(SEGMENT_SIZE);
  for await (const piece of reader.read(manifest, run)) {
    if (piece.kind === 'unreadable') onFault(piece.reason);
    if (piece.kind !== 'data') continue;
    for (let at = 0; at < piece.bytes.length; at += SEGMENT_SIZE) {
      const bytes = piece.bytes.subarray(at, at + SEGMENT_SIZE);
      const whole = bytes.length === SEGMENT_SIZE ? bytes : Buffer.concat([bytes, last]).subarray(0, SEGMENT_SIZE);
      yield { segment: (piece.offset + at) / SEGMENT_SIZE, bytes: whole };
    }
    piece.done();
  }
}
