import { requireRecord, type Versioned } from '../registry/records.ts';
import type { Registry } from '../registry/registry.ts';
import type { DiskState, RestoredDisk, RestoreRecord } from './restore-record.ts';

/** The restore is not this process's any more: another one's, or ended. */
export class Lost extends Error {}

/** By project and restore: what is being written in this process. */
const turns = new Map<string, Promise<unknown>>();

/**
 * Writes a change of a restore down, over whatever others have written meanwhile. The same record again: nothing is written. In this process
 * one change of a restore waits for the other: of two at once a store without an atomic create would keep one, and tell both that they stand.
 */
export async function updateRestore(
  registry: Registry,
  project: string,
  restore: string,
  change: (record: RestoreRecord) => RestoreRecord,
): Promise<RestoreRecord> {
  const name = `${project} ${restore}`;
  const before = turns.get(name);
  const turn = (async () => {
    await before?.catch(() => undefined);
    return write(registry, project, restore, change);
  })();
  turns.set(name, turn);
  try {
    return await turn;
  } finally {
    if (turns.get(name) === turn) turns.delete(name);
  }
}

async function write(
  registry: Registry,
  project: string,
  restore: string,
  change: (record: RestoreRecord) => RestoreRecord,
): Promise<RestoreRecord> {
  for (;;) {
    const { version, value }: Versioned<RestoreRecord> = await requireRecord(registry, 'restores', project, restore);
    const changed = change(value);
    if (changed === value) return value;
    if ((await registry.write(['restores', project, restore], changed, version)) === 'written') return changed;
  }
}

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
