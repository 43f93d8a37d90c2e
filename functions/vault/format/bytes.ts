import { EkkoError } from '../errors.ts';

/**
 * Reads little-endian fields in order from bytes that nobody vouches for. Every read is bounds-checked;
 * what is missing or left over throws `bad-format` naming `origin`.
 */
export class ByteReader {
  readonly #bytes: Buffer;
  readonly #origin: string;
  #at = 0;

  constructor(bytes: Uint8Array, origin: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#origin = origin;
  }

  /** Offset of the next field. */
  get at(): number {
    return this.#at;
  }

  take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) {
      throw this.refuse(`ends at byte ${this.#bytes.length}, a field reaches to byte ${end}`);
    }
    const field = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return field;
  }

  u8(): number {
    return this.take(1).readUInt8();
  }

  u16(): number {
    return this.take(2).readUInt16LE();
  }

  u32(): number {
    return this.take(4).readUInt32LE();
  }

  u64(): number {
    const value = this.take(8).readBigUInt64LE();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.refuse(`holds the number ${value}`);
    return Number(value);
  }

  /** A u32 that must not exceed `largest`. */
  count(largest: number, what: string): number {
    const value = this.u32();
    if (value > largest) throw this.refuse(`claims ${value} ${what}, at most ${largest} are allowed`);
    return value;
  }

  magic(expected: string): void {
    const found = this.take(expected.length).toString('latin1');
    if (found === expected) return;
    throw this.refuse(`begins with ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`);
  }

  /** Everything not yet read. */
  rest(): Buffer {
    return this.take(this.#bytes.length - this.#at);
  }

  end(): void {
    const left = this.#bytes.length - this.#at;
    if (left !== 0) throw this.refuse(`has ${left} bytes too many`);
  }

  refuse(found: string): EkkoError {
    return new EkkoError('bad-format', `${this.#origin} ${found}.`);
  }
}

/** A u32 array as little-endian bytes. */
export function u32Bytes(values: ArrayLike<number>): Buffer {
  const bytes = Buffer.allocUnsafe(values.length * 4);
  for (let i = 0; i < values.length; i++) bytes.writeUInt32LE(values[i] ?? 0, i * 4);
  return bytes;
}

export function u64Bytes(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** Parses JSON of ours; throws `bad-format` naming `origin`. */
export function parseJson(bytes: Uint8Array, origin: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new EkkoError('bad-format', `${origin} is not JSON.`, { cause });
  }
}
