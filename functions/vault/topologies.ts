import { codeOf, isUnreadable } from './errors.ts';
import type { RestorePoint } from './format/point.ts';
import { openRecord, RecordKind, sealRecord } from './format/record.ts';
import { EMPTY_TOPOLOGY, type Topology } from './format/topology.ts';
import { decodeTopology, encodeTopology } from './format/topology-bytes.ts';
import type { VaultReader } from './records.ts';
import { topologyKey } from './store/object-names.ts';

/**
 * The topology of a run between its start and its commit: in the vault, under its key, where neither an exporter nor an operator can read
 * or change it. What a commit, a sweep or the end of the run leaves there is swept like receipts. The first one stands. Throws `store-failed`.
 */
export async function keepTopology({ store, keyring }: VaultReader, run: string, topology: Topology): Promise<void> {
  const key = topologyKey(run);
  const record = sealRecord(keyring.newest, { kind: RecordKind.topology, context: key }, encodeTopology(topology));
  await store.create(key, [record]);
}

/** The topology that was kept for a run; where it cannot be read, one that says so: no commit fails for it. Throws `store-failed`. */
export async function keptTopology({ store, keyring }: VaultReader, run: string): Promise<Topology> {
  const key = topologyKey(run);
  try {
    const body = openRecord(keyring, { kind: RecordKind.topology, context: key }, await store.get(key), key);
    return decodeTopology(body, key);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    const why = `What was kept of it at the start of the run could not be read at its commit (${codeOf(error)}).`;
    return { ...EMPTY_TOPOLOGY, readAt: '', omitted: [{ part: 'topology', why }] };
  }
}

/** Keeps the topology of a restore point for a run of another vault, which copies the point. Says whether it has one. Throws `store-failed`. */
export async function carryTopology(
  { topology }: Pick<RestorePoint, 'topology'>,
  to: VaultReader,
  run: string,
): Promise<boolean> {
  if (topology !== undefined) await keepTopology(to, run, topology);
  return topology !== undefined;
}
