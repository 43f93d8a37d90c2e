import type { EpochKeys, Keyring } from '../keys/epoch-keys.ts';
import { ByteReader, u32Bytes } from './bytes.ts';
import { decodePoint, encodePoint, type RestorePoint } from './point.ts';
import { LARGEST_RECORD, openRecord, RecordKind, sealRecord } from './record.ts';
import { EMPTY_TOPOLOGY, type Topology } from './topology.ts';
import { decodeTopology, encodeTopology } from './topology-bytes.ts';

/**
 * The stored bytes of a point: its record; or, where it has a topology, a prefix, its record, and that of the topology. What is wanted of
 * many points stands in front: lists do not read what is large. Layout: `docs/format.md`, "Points".
 */
const MAGIC = 'EKKOPNT1';
const PREFIX_SIZE = MAGIC.length + 4;
const POINT = { kind: RecordKind.point, context: '' } as const;
const TOPOLOGY = { kind: RecordKind.topology, context: '' } as const;

/** The whole object, in pieces. */
export function sealPoint(keys: EpochKeys, point: RestorePoint): Buffer[] {
  const record = sealRecord(keys, POINT, encodePoint(point));
  if (point.topology === undefined) return [record];
  const prefix = Buffer.concat([Buffer.from(MAGIC, 'latin1'), u32Bytes([record.length])]);
  return [prefix, record, sealRecord(keys, TOPOLOGY, encodeTopology(point.topology))];
}

/** Throws as `openRecord`, and `bad-format`. A topology of no known shape is one that lacks everything: no disk depends on it. */
export function openPoint(keyring: Keyring, bytes: Buffer, origin: string): RestorePoint {
  const point = openPointHead(keyring, bytes, origin);
  const end = endOfPoint(bytes, origin);
  return end === undefined ? point : { ...point, topology: openTopology(keyring, bytes.subarray(end), origin) };
}

/** Where the record of the point ends, seen from the beginning of its object; undefined: where the object does. Throws `bad-format`. */
export function endOfPoint(head: Buffer, origin: string): number | undefined {
  if (head.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined;
  const reader = new ByteReader(head, origin);
  reader.magic(MAGIC);
  return PREFIX_SIZE + reader.count(LARGEST_RECORD, 'bytes of its record');
}

/** The point without its topology, from its object up to `endOfPoint` at least. Throws as `openRecord`, and `bad-format`. */
export function openPointHead(keyring: Keyring, head: Buffer, origin: string): RestorePoint {
  const end = endOfPoint(head, origin);
  const record = end === undefined ? head : head.subarray(PREFIX_SIZE, end);
  return decodePoint(openRecord(keyring, POINT, record, origin), origin);
}

function openTopology(keyring: Keyring, record: Buffer, origin: string): Topology {
  const what = `The topology of ${origin}`;
  const body = openRecord(keyring, TOPOLOGY, record, what);
  try {
    return decodeTopology(body, what);
  } catch (error) {
    const why = error instanceof Error ? error.message : 'It cannot be read.';
    return { ...EMPTY_TOPOLOGY, readAt: '', omitted: [{ part: 'topology', why }] };
  }
}
