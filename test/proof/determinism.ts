import { createHash } from 'node:crypto';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { arrayBufferOf, hpke } from '#vault/keys/hpke.ts';
import { SEGMENT_SIZE, SEGMENTS_PER_PART } from '#vault/words.ts';

/**
 * Makes the product's code a function of what the store answers: the same answers give the same next step, byte for byte. Random
 * bytes come from the actor whose turn it is, pauses take no time, and a key agreement, which is computed outside of the
 * event loop's sight, is remembered.
 */

/** What an actor has to itself. */
export interface Surroundings {
  random(size: number): Buffer;
  /** Memory for the segments of a part: 64 MiB that would otherwise be allocated anew each time that an actor is replayed. */
  readonly memory: Buffer<ArrayBuffer>;
}

const require = createRequire(import.meta.url);
const crypto = require('node:crypto') as { randomBytes: (size: number) => Buffer };
const timers = require('node:timers/promises') as { setTimeout: unknown };
const EXPORT_CONTEXT = arrayBufferOf('ekko/1 part key');
const zlib = require('node:zlib') as { zstdCompressSync: Coder; zstdDecompressSync: Coder };
const PART_MEMORY = SEGMENTS_PER_PART * SEGMENT_SIZE;

/** For those who process no part. */
const NO_MEMORY = Buffer.alloc(0);
/** Longer inputs are not worth remembering. */
const MOST_REMEMBERED = 4096;

let current: Surroundings | undefined;

/** Random bytes that `seed` decides. */
export function newSurroundings(seed: string, memory = NO_MEMORY): Surroundings {
  let drawn = 0;
  return {
    memory,
    random(size) {
      const pieces: Buffer[] = [];
      for (let length = 0; length < size; length += 32) {
        pieces.push(createHash('sha256').update(`${seed} ${drawn++}`).digest());
      }
      return Buffer.concat(pieces).subarray(0, size);
    },
  };
}

/** Whose turn it is from now on. */
export function enter(surroundings: Surroundings | undefined): void {
  current = surroundings;
}

/** Installs all of it; returns how to undo it. */
export function becomeDeterministic(): () => void {
  const undo = [replaceRandom(), replacePauses(), replaceMemory(), rememberAgreements(), rememberCompression()];
  syncBuiltinESMExports();
  return () => {
    for (const each of undo) each();
    syncBuiltinESMExports();
  };
}

function replaceRandom(): () => void {
  const { randomBytes } = crypto;
  crypto.randomBytes = (size) => current?.random(size) ?? randomBytes(size);
  return () => {
    crypto.randomBytes = randomBytes;
  };
}

function replacePauses(): () => void {
  const { setTimeout } = timers;
  timers.setTimeout = async (_milliseconds: number, value: unknown) => value;
  return () => {
    timers.setTimeout = setTimeout;
  };
}

function replaceMemory(): () => void {
  const { allocUnsafeSlow } = Buffer;
  Buffer.allocUnsafeSlow = (size) =>
    size === PART_MEMORY && current?.memory.length ? current.memory : allocUnsafeSlow(size);
  return () => {
    Buffer.allocUnsafeSlow = allocUnsafeSlow;
  };
}

/** Records are coded the same way again and again, and zstd sets up megabytes each time. */
function rememberCompression(): () => void {
  const { zstdCompressSync, zstdDecompressSync } = zlib;
  zlib.zstdCompressSync = rememberedBytes(zstdCompressSync);
  zlib.zstdDecompressSync = rememberedBytes(zstdDecompressSync);
  return () => {
    zlib.zstdCompressSync = zstdCompressSync;
    zlib.zstdDecompressSync = zstdDecompressSync;
  };
}

type Coder = (bytes: Uint8Array, options: unknown) => Buffer;

/** The result is the caller's own each time. */
function rememberedBytes(compute: Coder): Coder {
  const known = new Map<string, Buffer>();
  return (bytes, options) => {
    if (bytes.length > MOST_REMEMBERED) return compute(bytes, options);
    const name = `${Buffer.from(bytes).toString('latin1')} ${JSON.stringify(options)}`;
    const found = known.get(name) ?? compute(bytes, options);
    known.set(name, found);
    return Buffer.from(found);
  };
}

/** Each agreement is computed once, and must be before the exploration begins: the world opens every staged part when it is made. */
function rememberAgreements(): () => void {
  const { kem, createRecipientContext } = hpke;
  const { deserializePrivateKey } = kem;
  const hex = (bytes: unknown): string => Buffer.from(bytes as ArrayBuffer).toString('hex');
  kem.deserializePrivateKey = remembered((key) => deserializePrivateKey.call(kem, key as ArrayBuffer), hex);
  hpke.createRecipientContext = remembered(
    async (asked) => {
      const context = await createRecipientContext.call(hpke, asked);
      const key = await context.export(EXPORT_CONTEXT, 32);
      return Object.assign(Object.create(context), { export: async () => key });
    },
    ({ enc }) => hex(enc),
  );
  return () => {
    kem.deserializePrivateKey = deserializePrivateKey;
    hpke.createRecipientContext = createRecipientContext;
  };
}

function remembered<Input, Output>(
  compute: (input: Input) => Promise<Output>,
  nameOf: (input: Input) => string,
): (input: Input) => Promise<Output> {
  const known = new Map<string, Promise<Output>>();
  return (input) => {
    const name = nameOf(input);
    const found = known.get(name) ?? compute(input);
    known.set(name, found);
    return found;
  };
}
