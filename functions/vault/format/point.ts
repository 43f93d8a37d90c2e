import { EkkoError } from '../errors.ts';
import { parseJson } from './bytes.ts';
import type { ExportSummary } from './summary.ts';
import type { Topology } from './topology.ts';

/** A committed, restorable state of a group (`docs/format.md`, "Points"). */
export interface RestorePoint {
  /** The run that made it; what people and bitmaps call the point. */
  readonly id: string;
  readonly group: string;
  /** ISO time of the moment. */
  readonly takenAt: string;
  readonly disks: readonly PointDisk[];
  /** Disks and servers of the group that it does not hold, by name; absent where it holds all. */
  readonly missing?: readonly string[];
  /** What the group was built of; absent where nobody could tell, and where a point is read for lists. Of its own in the object. */
  readonly topology?: Topology;
}

export interface PointDisk extends Omit<ExportSummary, 'parts' | 'disk'> {
  readonly name: string;
  /** Name of the manifest. */
  readonly manifest: string;
  readonly assurance: Assurance;
  /** Bytes read as changed, of which new to the vault, and what they took there. */
  readonly changedBytes: number;
  readonly newBytes: number;
  readonly storedBytes: number;
}

/** What was checked, not assumed. */
export interface Assurance {
  /** Clean segments that were read and compared with the base. */
  readonly auditedSegments: number;
  readonly auditFailures: number;
}

/** The body of a point's record: all but the topology, which has a record of its own. */
export function encodePoint({ topology: _apart, ...point }: RestorePoint): Buffer {
  return Buffer.from(JSON.stringify(point));
}

/** Points are sealed by the vault's own key and are trusted once opened; only the shape is checked. Throws `bad-format`. */
export function decodePoint(body: Uint8Array, origin: string): RestorePoint {
  const point = parseJson(body, origin) as RestorePoint | null;
  if (typeof point?.id === 'string' && Array.isArray(point.disks)) return point;
  throw new EkkoError('bad-format', `${origin} is not a restore point.`);
}
