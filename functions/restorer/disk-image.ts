import { readManifest, type VaultReader } from '#vault/records.ts';
import { readDataMap } from './data-map.ts';
import { spansOf } from './data-spans.ts';
import { layoutOf } from './qcow2/layout.ts';
import { tablesOf } from './qcow2/tables.ts';
import { type ReadThreads, readSpans } from './read-spans.ts';

/** A disk of a restore point as a compact qcow2 image that is made as it is taken. */
export interface DiskImage {
  /** Bytes of the image: exactly so many come. */
  readonly length: number;
  /** The image, once; every segment has been compared with its id. Throws what reading a disk throws, and the signal's reason. */
  content(signal: AbortSignal): AsyncGenerator<Uint8Array>;
}

export interface DiskToRead {
  readonly reader: VaultReader;
  /** Name of the disk's manifest. */
  readonly manifest: string;
  /** Undefined: all is done in the calling thread. */
  readonly threads: ReadThreads | undefined;
}

/** Clusters of tables that are handed out as one. */
const TABLES_AT_ONCE = 16;

/** Reads the disk's map, which tells the length. Throws `object-missing`, `damaged`, `bad-format`, `wrong-key`, `store-failed`. */
export async function openDiskImage({ reader, manifest: name, threads }: DiskToRead): Promise<DiskImage> {
  const manifest = await readManifest(reader, name);
  const map = await readDataMap(reader, manifest);
  const layout = layoutOf(map);
  return {
    length: layout.length,
    async *content(signal) {
      const data = readSpans({ reader, manifest, spans: spansOf(map), threads, signal });
      // Whoever takes the image may be impatient: nothing is given before the first data is there.
      const first = await data.next();
      try {
        yield* inGroups(tablesOf(layout, map), TABLES_AT_ONCE);
        if (!first.done) yield first.value;
        yield* data;
      } finally {
        await data.return(undefined);
      }
    },
  };
}

function* inGroups(pieces: Iterable<Buffer>, size: number): Generator<Buffer> {
  let group: Buffer[] = [];
  for (const piece of pieces) {
    group.push(piece);
    if (group.length < size) continue;
    yield Buffer.concat(group);
    group = [];
  }
  if (group.length > 0) yield Buffer.concat(group);
}
