import type { PointDisk, RestorePoint } from '#vault/format/point.ts';
import type { ExportSummary } from '#vault/format/summary.ts';
import type { JournalEntry, PointCommitted } from '#vault/journal/entries.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import type { MappedDisk } from './map-disk.ts';

/** A disk of a run as its export told of it, and as it lies in the vault. */
export interface ExportedDisk {
  readonly summary: ExportSummary;
  readonly mapped: MappedDisk;
}

/** The restore point of a run, as of its earliest moment. */
export function pointOf(run: string, group: string, disks: readonly ExportedDisk[]): RestorePoint {
  const takenAt = disks.map(({ summary }) => summary.takenAt).sort()[0] ?? '';
  return { id: run, group, takenAt, disks: disks.map(pointDisk) };
}

function pointDisk({ summary, mapped }: ExportedDisk): PointDisk {
  const { disk, parts: _parts, ...said } = summary;
  const { totals, manifest } = mapped;
  return {
    ...said,
    name: disk,
    manifest,
    assurance: { auditedSegments: totals.auditedSegments, auditFailures: totals.auditFailures },
    changedBytes: totals.dataSegments * SEGMENT_SIZE,
    newBytes: totals.newSegments * SEGMENT_SIZE,
    storedBytes: totals.storedBytes,
  };
}

/** The entry that commits it; `name` is that of its record. */
export function committed(point: RestorePoint, name: string, now: Date): JournalEntry {
  const disks = point.disks.map((disk) => ({ name: disk.name, size: disk.diskSize, manifest: disk.manifest }));
  return {
    type: 'point-committed',
    run: point.id,
    group: point.group,
    point: name,
    takenAt: point.takenAt,
    at: now.toISOString(),
    disks,
    ...copyIn(point),
  };
}

/** A point is a copy when all its disks are copied from one point. */
function copyIn({ disks }: RestorePoint): Pick<PointCommitted, 'copyOf'> {
  const [first, ...rest] = disks.map(({ copyOf }) => copyOf);
  if (first === undefined) return {};
  return rest.every((copy) => copy?.vault === first.vault && copy.run === first.run) ? { copyOf: first } : {};
}
