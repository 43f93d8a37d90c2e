/**
 * Gives the memory of bytes back at once; they are empty afterwards. For large buffers that have had their last use: the garbage
 * collector frees memory outside its heap late, and a process that handles gigabytes would hold hundreds of megabytes of it.
 * Bytes that share their memory with others (a slice, Node's pool) are left to the collector.
 */
export function release(bytes: Uint8Array): void {
  const memory = bytes.buffer;
  if (!(memory instanceof ArrayBuffer) || bytes.byteLength !== memory.byteLength || memory.byteLength === 0) return;
  memory.transfer(0);
}

/** Gives back a buffer of which `part` is a slice, whole. The caller answers for nobody using the rest. */
export function releaseWhole(part: Uint8Array): void {
  if (part.buffer instanceof ArrayBuffer && part.buffer.byteLength > 0) part.buffer.transfer(0);
}
