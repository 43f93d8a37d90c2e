import { type RecordKind, type RecordOf, requireRecord } from './records.ts';
import type { Registry } from './registry.ts';

/** By record: what is being written in this process. */
const turns = new Map<string, Promise<unknown>>();

/**
 * Writes a change of a record down, over whatever others have written meanwhile, and answers the record that stands. The same record again:
 * nothing is written. In this process one change of a record waits for the other: of two at once a store without an atomic create would keep
 * one, and tell both that they stand. Throws `not-found`, and what `change` throws.
 */
export async function updateRecord<K extends RecordKind>(
  registry: Registry,
  kind: K,
  path: readonly [project: string, name: string],
  change: (record: RecordOf<K>) => RecordOf<K>,
): Promise<RecordOf<K>> {
  const name = [kind, ...path].join(' ');
  const before = turns.get(name);
  const turn = (async () => {
    await before?.catch(() => undefined);
    return write(registry, kind, path, change);
  })();
  turns.set(name, turn);
  try {
    return await turn;
  } finally {
    if (turns.get(name) === turn) turns.delete(name);
  }
}

async function write<K extends RecordKind>(
  registry: Registry,
  kind: K,
  path: readonly [project: string, name: string],
  change: (record: RecordOf<K>) => RecordOf<K>,
): Promise<RecordOf<K>> {
  for (;;) {
    const { version, value } = await requireRecord(registry, kind, ...path);
    const changed = change(value);
    if (changed === value) return value;
    if ((await registry.write([kind, ...path], changed, version)) === 'written') return changed;
  }
}
