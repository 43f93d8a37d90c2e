import { SEGMENTS_PER_PAGE } from '../words.ts';
import { ByteReader, u32Bytes } from './bytes.ts';
import { appendExtent, clipExtent, decodeExtents, decodeReferences, type Extent, encodeExtents } from './extents.ts';

/**
 * The body of a page record: the extent map of one fixed span of a disk (`docs/format.md`, "Pages"). `start` counts from the
 * page's first segment; what no extent covers is zero. Zero extents are left out, so that equal content has one form.
 */
export function encodePage(extents: readonly Extent[]): Buffer {
  return Buffer.concat([u32Bytes([SEGMENTS_PER_PAGE]), encodeExtents(extents)]);
}

/** Throws `bad-format`. */
export function decodePage(body: Uint8Array, origin: string): Extent[] {
  const reader = new ByteReader(body, origin);
  const span = reader.u32();
  if (span !== SEGMENTS_PER_PAGE) throw reader.refuse(`spans ${span} segments, expected ${SEGMENTS_PER_PAGE}`);
  const extents = decodeExtents(reader, SEGMENTS_PER_PAGE, SEGMENTS_PER_PAGE);
  reader.end();
  return extents;
}

/** The references of the packs that a page names, REFERENCE_SIZE bytes each, without a look at its extents. Throws `bad-format`. */
export function decodePagePacks(body: Uint8Array, origin: string): Buffer {
  const reader = new ByteReader(body, origin);
  reader.u32();
  return decodeReferences(reader, SEGMENTS_PER_PAGE);
}

/**
 * Lays `changes` over the `extents` of one page; both ascend without overlap, and so does the result. A zero change erases.
 * What continues on the disk and in its pack is merged into one extent.
 */
export function overlayExtents(extents: readonly Extent[], changes: readonly Extent[]): Extent[] {
  const result: Extent[] = [];
  let at = 0;
  let done = 0;
  const keepUntil = (end: number) => {
    for (let extent = extents[at]; extent !== undefined && extent.start < end; extent = extents[++at]) {
      const kept = clipExtent(extent, done, end);
      if (kept) appendExtent(result, kept);
      if (extent.start + extent.count > end) return;
    }
  };
  for (const change of changes) {
    keepUntil(change.start);
    if (change.pack !== undefined) appendExtent(result, change);
    done = change.start + change.count;
  }
  keepUntil(SEGMENTS_PER_PAGE);
  return result;
}

/** Whether two pages map the same content. */
export function sameExtents(a: readonly Extent[], b: readonly Extent[]): boolean {
  return a.length === b.length && a.every((extent, i) => sameExtent(extent, b[i]));
}

function sameExtent(a: Extent, b: Extent | undefined): boolean {
  return b !== undefined && a.start === b.start && a.count === b.count && a.pack === b.pack && a.first === b.first;
}
