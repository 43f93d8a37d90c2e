import pLimit from 'p-limit';

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

/** Does `work` with a piece of memory that begins at a page border of the process. Undefined: there is no memory to be had, and nothing was done. */
export type WithMemory = <T>(work: (memory: Buffer<ArrayBuffer>) => Promise<T>) => Promise<T | undefined>;

/** Lends memory of one size again and again, at most `most` pieces at a time; who comes then waits. `size`: a multiple of 64 KiB. */
export function alignedMemories(size: number, most: number): WithMemory {
  const free: Buffer<ArrayBuffer>[] = [];
  const limit = pLimit(most);
  return (work) =>
    limit(async () => {
      const memory = free.pop() ?? allocate(size);
      if (memory === undefined) return undefined;
      try {
        return await work(memory);
      } finally {
        free.push(memory);
      }
    });
}

/** Nothing else in JavaScript is promised to lie at a page border. Undefined where the address space has no room. */
function allocate(size: number): Buffer<ArrayBuffer> | undefined {
  const pages = size / PAGE_SIZE;
  try {
    return Buffer.from(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
