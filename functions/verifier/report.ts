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
  /** Objects that are damaged or missing. 0: all is well. */
  readonly damaged: number;
  /** One for each of these objects, ascending by object; the first of them only in a report that was cut short. */
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
  /**
   * What cannot be restored because of it; empty where nothing needs the object, or no key was given to find out. The first ranges
   * only, at least one, where all findings together have very many: `costs` has them all.
   */
  readonly affects: readonly AffectedDisk[];
  readonly costs: Costs;
  /** For people: what to do next. */
  readonly advice: string;
}

/** How much cannot be restored because of one object. */
export interface Costs {
  readonly points: number;
  /** Each counts once for each of these points. */
  readonly disks: number;
  /** Of these disks: runs of bytes that do not touch. */
  readonly ranges: number;
  readonly bytes: number;
}

/** Bytes `[offset, offset + length)` of a disk at a restore point. */
export interface AffectedDisk {
  /** Id of the restore point. */
  readonly point: string;
  readonly disk: string;
  readonly offset: number;
  readonly length: number;
}

/** So many findings fit into one document of a command. */
export const MOST_REPORTED = 10_000;

/** A report with so many findings at most: what is told must have an end, and `damaged` still says of how many. */
export function cutShort<Report extends Pick<VerifyReport, 'damaged' | 'findings'>>(
  report: Report,
  most: number,
): Report {
  return { ...report, findings: report.findings.slice(0, most) };
}
