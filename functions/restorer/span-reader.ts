import { EkkoError } from '#vault/errors.ts';
import type { Manifest } from '#vault/format/manifest.ts';
import type { VaultReader } from '#vault/records.ts';
import { openReader, type ReaderSettings } from '#vault/restore/open-reader.ts';
import { openDiskReader } from '#vault/restore/read-disk.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import type { DataSpan } from './data-spans.ts';

/** What a thread reads. */
export interface SpanWork {
  readonly manifest: Manifest;
}

/** A span, and how the vault is opened for it: another way than for the one before when rights were renewed. Secret. */
export interface SpanJob extends DataSpan {
  readonly reader: ReaderSettings;
}

/**
 * The data segments of a span, one behind the other, each compared with its id; the last segment of a disk is padded with zeros. In memory of
 * their own, so that another thread can be given them.
 */
export type SpanReader = (span: DataSpan) => Promise<Uint8Array<ArrayBuffer>>;

/** Throws what reading a disk throws. */
export function openSpanReader(reader: VaultReader, manifest: Manifest): SpanReader {
  const disk = openDiskReader(reader, { bestEffort: false });
  return async (span) => {
    const data = new Uint8Array(span.dataSegments * SEGMENT_SIZE);
    let at = 0;
    for await (const piece of disk.read(manifest, span)) {
      if (piece.kind !== 'data') continue;
      data.set(piece.bytes, at);
      piece.done();
      at += Math.ceil(piece.length / SEGMENT_SIZE) * SEGMENT_SIZE;
    }
    if (at === data.length) return data;
    throw new EkkoError(
      'damaged',
      `Segments ${span.first}+${span.count} have ${at} bytes of data, not ${data.length}.`,
    );
  };
}

/** As `openSpanReader`, for a thread: opens the vault anew when a job brings other rights. */
export function openJobReader({ manifest }: SpanWork): (job: SpanJob) => Promise<Uint8Array<ArrayBuffer>> {
  let opened: { readonly rights: string; readonly read: Promise<SpanReader> } | undefined;
  return async ({ reader, ...span }) => {
    const rights = JSON.stringify(reader.environment);
    if (opened === undefined || opened.rights !== rights)
      opened = { rights, read: openReader(reader).then((vault) => openSpanReader(vault, manifest)) };
    return (await opened.read)(span);
  };
}
