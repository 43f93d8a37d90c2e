import type { KeyObject } from 'node:crypto';
import { EkkoError } from '../errors.ts';
import {
  carriedSegments,
  decodeHeader,
  HEADER_READ_SIZE,
  openChunk,
  openPartHeader,
  type PartHeader,
  type PartPrefix,
  partAgreement,
  readPartPrefix,
  SEALED_CHUNK_SIZE,
  sealedDataSize,
} from '../format/staged-part.ts';
import { decodeSummary, type ExportSummary } from '../format/summary.ts';
import { agreeAsRecipient } from '../keys/hpke.ts';
import { release } from '../memory.ts';
import type { VaultReader } from '../records.ts';
import { type PartPlace, stagingKey } from '../store/object-names.ts';
import { isPartInMemory, openPartInMemory } from './part-in-memory.ts';
import { isPartInPlace, openPartInPlace, waitsForDisks, warmPartInPlace } from './part-in-place.ts';

/** A staged part whose header has been opened and checked; its data is fetched and opened as it is asked for. */
export interface OpenedPart {
  readonly header: PartHeader;
  /**
   * The carried segments in order, in buffers of 1 MiB (the last may be shorter), which are valid until `close`. Reads ahead by one window.
   * Throws `damaged`, and `busy` where a part is read in place.
   */
  chunks(): AsyncGenerator<Buffer>;
  /** Gives the memory of the chunks back. */
  close(): void;
}

/** Chunks fetched by one request. */
const WINDOW_CHUNKS = 8;

/**
 * Opens the part at `place`. Throws `object-missing`, `bad-format`, `wrong-key`, and `damaged` for what was not sealed for
 * this vault, run, disk and part by somebody with the run's token.
 */
export async function openPart(reader: VaultReader, place: PartPlace): Promise<OpenedPart> {
  const key = stagingKey(place);
  const head = await readHead(reader, key);
  if (isPartInPlace(head)) return openPartInPlace(await reader.store.get(key), key);
  if (isPartInMemory(head)) return openPartInMemory(await reader.store.get(key), key);
  const { prefix, secret } = await openHead(reader, place, head);
  const header = decodeHeader(openPartHeader(secret, prefix, head, key), key);
  const start = prefix.headerStart + prefix.headerLength;
  const segments = carriedSegments(header.runs);
  const opened: Buffer[] = [];
  return {
    header,
    async *chunks() {
      for await (const chunk of openChunks(reader, key, secret, start, segments)) {
        opened.push(chunk);
        yield chunk;
      }
    },
    close() {
      for (const chunk of opened.splice(0)) release(chunk);
    },
  };
}

/** To be called some time before `openPart`: has what it will read from a slow disk be read. Throws as `openPart`. */
export async function warmPart({ store }: Pick<VaultReader, 'store'>, place: PartPlace): Promise<void> {
  if (!waitsForDisks()) return;
  const key = stagingKey(place);
  const part = await store.get(key);
  if (isPartInPlace(part)) await warmPartInPlace(part, key);
}

/** The export summary of a disk. Throws as `openPart`. */
export async function openSummary(reader: VaultReader, run: string, disk: number): Promise<ExportSummary> {
  const place = { run, disk, part: 'summary' } as const;
  const head = await readHead(reader, stagingKey(place));
  const { prefix, secret } = await openHead(reader, place, head);
  return decodeSummary(openPartHeader(secret, prefix, head, stagingKey(place)), stagingKey(place));
}

function readHead({ store }: VaultReader, key: string): Promise<Buffer> {
  return store.get(key, { start: 0, end: HEADER_READ_SIZE });
}

async function openHead({ keyring }: VaultReader, place: PartPlace, head: Buffer) {
  const key = stagingKey(place);
  const prefix = readPartPrefix(head, key);
  return { prefix, secret: await partSecret({ keyring }, place, prefix, key) };
}

async function partSecret(
  { keyring }: Pick<VaultReader, 'keyring'>,
  place: PartPlace,
  prefix: PartPrefix,
  key: string,
): Promise<KeyObject> {
  const keys = keyring.epoch(prefix.epoch, key);
  const token = keys.runToken(place.run, place.disk);
  const agreement = partAgreement(keys.vault, place.run, place.disk, place.part, token);
  try {
    return await agreeAsRecipient(keys.staging.privateKey, prefix.enc, agreement);
  } catch (cause) {
    throw new EkkoError('damaged', `${key} holds no usable HPKE key: it was changed or not sealed to this vault.`, {
      cause,
    });
  }
}

async function* openChunks(
  { store }: VaultReader,
  key: string,
  secret: KeyObject,
  start: number,
  segments: number,
): AsyncGenerator<Buffer> {
  const end = start + sealedDataSize(segments);
  const windowSize = WINDOW_CHUNKS * SEALED_CHUNK_SIZE;
  const fetch = (from: number) => store.get(key, { start: from, end: Math.min(from + windowSize, end) });
  let number = 0;
  let next = start < end ? fetch(start) : undefined;
  for (let at = start; next !== undefined; at += windowSize) {
    const window = await next;
    next = at + windowSize < end ? fetch(at + windowSize) : undefined;
    // A rejected read-ahead must not count as unhandled while this window is still being used.
    next?.catch(() => undefined);
    checkWindow(window.length, Math.min(windowSize, end - at), key);
    for (let box = 0; box < window.length; box += SEALED_CHUNK_SIZE) {
      yield openChunk(secret, number++, window.subarray(box, box + SEALED_CHUNK_SIZE), key);
    }
    release(window);
  }
}

function checkWindow(found: number, expected: number, key: string): void {
  if (found === expected) return;
  throw new EkkoError('damaged', `${key} is cut short: ${found} bytes where ${expected} should follow.`);
}
