import { createHash } from 'node:crypto';
import { EkkoError } from '#vault/errors.ts';
import { LARGEST_RECORD } from '#vault/format/record.ts';
import type { Keyring } from '#vault/keys/epoch-keys.ts';
import { release } from '#vault/memory.ts';
import { Folder, nameOf } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { SEGMENT_SIZE, SEGMENTS_PER_PART } from '#vault/words.ts';
import { newPackJudge, type PackUse, type PackVerdict } from './judge-pack.ts';
import { type Problem, problemOf } from './problem.ts';

/** One object to check. */
export interface ObjectCheck {
  readonly key: string;
  /** Bytes, as listed; undefined for a pack that was not listed though a point needs it. */
  readonly size: number | undefined;
  /** What pages say of the pack. */
  readonly uses: readonly PackUse[];
}

export interface ObjectOutcome {
  readonly bytes: number;
  /** Segments whose ids were checked. */
  readonly segments: number;
  readonly problem: Problem | undefined;
}

/** A full pack of what does not compress, and its index. */
const LARGEST_PACK = SEGMENTS_PER_PART * (SEGMENT_SIZE + 128) + 65_536;
const PIECE = 8 * 1024 * 1024;

/** Compares an object with its name; with a keyring, a pack with its index and every segment with its id. Never throws for the object's sake. */
export async function checkObject(
  store: ObjectStore,
  keyring: Keyring | undefined,
  check: ObjectCheck,
): Promise<ObjectOutcome> {
  try {
    return await look(store, keyring, check);
  } catch (error) {
    const problem = problemOf(error);
    // What was listed and is not needed has been swept meanwhile, or made under a key epoch that began meanwhile.
    const harmless = problem.code === 'object-missing' || problem.code === 'wrong-key';
    return { bytes: 0, segments: 0, problem: harmless && check.uses.length === 0 ? undefined : problem };
  }
}

async function look(store: ObjectStore, keyring: Keyring | undefined, check: ObjectCheck): Promise<ObjectOutcome> {
  const { key, uses } = check;
  const pack = keyring !== undefined && key.startsWith(Folder.packs) ? newPackJudge(keyring, key, uses) : undefined;
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of piecesOf(store, check)) {
    hash.update(piece);
    pack?.add(piece);
    bytes += piece.length;
    release(piece);
  }
  const digest = hash.digest('hex');
  const verdict = pack?.verdict() ?? { segments: 0, problem: undefined };
  if (digest === nameOf(key)) return { bytes, ...verdict };
  return { bytes, segments: verdict.segments, problem: misnamed(check, bytes, digest, pack && verdict) };
}

/** The bytes of an object, the next piece being fetched while one is used. */
async function* piecesOf(store: ObjectStore, { key, size = PIECE }: ObjectCheck): AsyncGenerator<Buffer> {
  const largest = key.startsWith(Folder.packs) ? LARGEST_PACK : LARGEST_RECORD + 1024;
  if (size > largest)
    throw new EkkoError('damaged', `${key} has ${size} bytes; no such object has more than ${largest}.`);
  const fetch = (start: number) => {
    const fetched = store.get(key, { start, end: start + PIECE });
    // It is awaited in its turn; until then its failure is not unhandled.
    fetched.catch(() => undefined);
    return fetched;
  };
  let next = fetch(0);
  for (let end = PIECE; ; end += PIECE) {
    const ahead = end < size ? fetch(end) : undefined;
    const piece = await next;
    const full = piece.length === PIECE;
    yield piece;
    // The size comes from a listing; where the object goes on behind it, it is not what was listed.
    if (!full || end > largest) return;
    next = ahead ?? fetch(end);
  }
}

/** Damage that no segment depends on makes the name wrong all the same. */
function misnamed({ key }: ObjectCheck, bytes: number, digest: string, pack: PackVerdict | undefined): Problem {
  return {
    code: 'damaged',
    message: `${key} is not what its name says: its ${bytes} bytes have the SHA-256 ${digest}.`,
    lost: pack === undefined ? undefined : pack.problem === undefined ? [] : pack.problem.lost,
  };
}
