import type { DiskState, RestoredDisk, RestoreRecord } from './restore-record.ts';

/** The restore is not this process's any more: another one's, or ended. */
export class Lost extends Error {}

/** The record with another state of one disk. */
export function withDisk(
  record: RestoreRecord,
  name: string,
  change: (disk: RestoredDisk) => RestoredDisk,
): RestoreRecord {
  return { ...record, disks: record.disks.map((disk) => (disk.name === name ? change(disk) : disk)) };
}

/** Nobody works on such a disk any more. */
export function isDone(state: DiskState): boolean {
  return state !== 'waiting' && state !== 'copying';
}
