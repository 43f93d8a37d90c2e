import type { ErrorCode } from '#vault/errors.ts';

/** What was checked and what was found. Orphans (objects that no point needs) are no findings. */
export interface VerifyReport {
  /** Content-named objects whose bytes were compared with their names. */
  readonly objects: number;
  /** Of these objects, as stored. */
  readonly bytes: number;
  /** Segments whose ids were checked; 0 without a key. */
  readonly segments: number;
  /** Restore points that were followed to their last pack; 0 without a key. */
  readonly points: number;
  readonly seconds: number;
  /** Ascending by object. Empty: all is well. */
  readonly findings: readonly Finding[];
  /** Damaged packs that nothing needs any more, for all of it was moved elsewhere: the next sweep removes them. */
  readonly emptied: readonly EmptiedPack[];
}

export interface EmptiedPack {
  /** Its key. */
  readonly object: string;
  readonly message: string;
}

export interface Finding {
  /** Key of the object at fault. */
  readonly object: string;
  /** `object-missing`, `damaged`, `bad-format`, `wrong-key`, `store-failed`. */
  readonly problem: ErrorCode;
  readonly message: string;
  /** What cannot be restored because of it; empty where nothing needs the object, or no key was given to find out. */
  readonly affects: readonly AffectedDisk[];
  /** For people: what to do next. */
  readonly advice: string;
}

/** Bytes `[offset, offset + length)` of a disk at a restore point. */
export interface AffectedDisk {
  /** Id of the restore point. */
  readonly point: string;
  readonly disk: string;
  readonly offset: number;
  readonly length: number;
}
