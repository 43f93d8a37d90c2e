/** Bytes that the kernel can move to a device without a copy of its own begin and end at multiples of this. */
export const BLOCK_SIZE = 4096;
/** A WebAssembly page. */
const PAGE_SIZE = 65_536;

/** As every JavaScript engine has it; the types of Node leave it out. */
declare namespace WebAssembly {
  class Memory {
    constructor(descriptor: { readonly initial: number; readonly maximum: number });
    readonly buffer: ArrayBuffer;
  }
}

/** A lent piece of memory that begins at a page border of the process. */
export interface AlignedMemory {
  readonly bytes: Buffer<ArrayBuffer>;
  giveBack(): void;
}

/** Lends memory of one size, again and again; at most `kept` pieces stay when nobody has them. `size`: a multiple of 64 KiB. */
export function alignedMemories(size: number, kept: number): () => AlignedMemory {
  const free: Buffer<ArrayBuffer>[] = [];
  return () => {
    const bytes = free.pop() ?? allocate(size);
    const giveBack = () => {
      if (free.length < kept) free.push(bytes);
    };
    return { bytes, giveBack };
  };
}

/** Nothing else in JavaScript is promised to lie at a page border. */
function allocate(size: number): Buffer<ArrayBuffer> {
  const pages = size / PAGE_SIZE;
  return Buffer.from(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer);
}
