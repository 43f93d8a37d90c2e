import { EkkoError } from '../errors.ts';
import { parseJson } from '../format/bytes.ts';
import {
  type Check,
  type FieldReader,
  integer,
  label,
  listOf,
  name,
  oneOf,
  optional,
  readFields,
  text,
  time,
  yesOrNo,
} from '../format/fields.ts';
import { MOST_EPOCHS } from '../format/key-epoch.ts';
import { LARGEST_RECORD, openRecord, RecordKind, type RecordPlace, sealRecord } from '../format/record.ts';
import type { EpochKeys, Keyring } from '../keys/epoch-keys.ts';
import { stateKey } from '../store/object-names.ts';
import {
  readCommittedPoint,
  readNamedRecipient,
  readPlacedHold,
  readStartedRun,
  retentionPolicy,
} from './check-entry.ts';
import { LONGEST_REASON, SHARDS } from './entries.ts';
import {
  ANY_GROUP,
  type BegunEpoch,
  type CommittedPoint,
  type CondemnedNames,
  type ExpiredPoint,
  type OpenRun,
  type RemovedRecipient,
  type SetRetention,
  type VaultRecipient,
  type VaultState,
  type VerifiedShard,
} from './state.ts';

/** The snapshot's stored bytes. Throws `bad-input` when the state is too large for a record. */
export function encodeState(keys: EpochKeys, state: VaultState): Buffer {
  const plain = Buffer.from(
    JSON.stringify({
      ...state,
      recipients: [...state.recipients.values()],
      removed: [...state.removed.values()],
      openRuns: [...state.openRuns.values()],
      points: [...state.points.values()],
      expired: [...state.expired.values()],
      holds: [...state.holds.values()],
      retention: [...state.retention].map(([group, set]) => ({ group, ...set })),
      moved: [...packsByMove(state)].map(([move, packs]) => ({ move, packs: packed(packs) })),
      condemned: packed([...state.condemned]),
      verified: [...state.verified].map(([shard, when]) => ({ shard, ...when })),
      damaged: packed([...state.damaged]),
      lockedUntil: state.lockedUntil.size === 0 ? undefined : [...state.lockedUntil].map(lockedShard),
    }),
  );
  if (plain.length <= LARGEST_RECORD) return sealRecord(keys, placeAt(state.position), plain);
  throw new EkkoError(
    'bad-input',
    `The state at entry ${state.position} has ${plain.length} bytes, too many for a record.`,
  );
}

/** The state in a snapshot's bytes. Throws `bad-format`, `damaged`, `wrong-key`. */
export function decodeState(keyring: Keyring, position: number, bytes: Uint8Array, origin: string): VaultState {
  const plain = parseJson(openRecord(keyring, placeAt(position), bytes, origin), origin);
  const state = readFields(plain, origin, (field) => ({
    position: field('position', exactly(position)),
    digest: field('digest', name),
    vaultJson: field('vaultJson', name),
    escrow: field('escrow', oneOf('missing', 'waived', 'confirmed')),
    epochs: field('epochs', all(readEpoch)),
    recipients: new Map(field('recipients', all(readRecipient)).map((each) => [each.recipient, each])),
    removed: new Map(field('removed', all(readRemoved)).map((each) => [each.recipient, each])),
    openRuns: new Map(field('openRuns', all(readOpenRun)).map((run) => [run.run, run])),
    points: new Map(field('points', all(readPoint)).map((point) => [point.run, point])),
    expired: new Map(field('expired', all(readExpiredPoint)).map((point) => [point.run, point])),
    holds: new Map(field('holds', all(readPlacedHold)).map((hold) => [hold.hold, hold])),
    retention: new Map(field('retention', all(readRetention))),
    moved: new Map(field('moved', all(readMoved)).flat()),
    condemned: new Set(field('condemned', packedNames)),
    condemnedUnder: field('condemnedUnder', all(readCondemned)),
    verified: new Map(field('verified', all(readVerified))),
    damaged: new Set(field('damaged', packedNames)),
    lockedUntil: new Map(field('lockedUntil', optional(all(readLockedShard)))),
  }));
  const counted = state.condemnedUnder.reduce((sum, { names }) => sum + names, 0);
  if (counted === state.condemned.size && state.epochs.every(({ epoch }, at) => epoch === at + 1)) return state;
  throw new EkkoError('bad-format', `${origin} does not count its key epochs or its condemned names right.`);
}

function readEpoch(field: FieldReader): BegunEpoch {
  const key = field('key', optional(name));
  return {
    epoch: field('epoch', integer(MOST_EPOCHS)),
    position: field('position', integer(Number.MAX_SAFE_INTEGER)),
    at: field('at', time),
    ...(key === undefined ? {} : { key }),
  };
}

function readRecipient(field: FieldReader): VaultRecipient {
  const key = field('key', optional(name));
  return {
    ...readNamedRecipient(field),
    since: field('since', time),
    sinceEpoch: field('sinceEpoch', integer(MOST_EPOCHS)),
    ...(key === undefined ? {} : { key }),
  };
}

function readRemoved(field: FieldReader): RemovedRecipient {
  const recipient = readRecipient(field);
  return { ...recipient, removedAt: field('removedAt', time), lastEpoch: field('lastEpoch', integer(MOST_EPOCHS)) };
}

function readOpenRun(field: FieldReader): OpenRun {
  return { ...readStartedRun(field), epoch: field('epoch', integer(MOST_EPOCHS)) };
}

function readCondemned(field: FieldReader): CondemnedNames {
  return { epoch: field('epoch', integer(MOST_EPOCHS)), names: field('names', integer(Number.MAX_SAFE_INTEGER)) };
}

function readPoint(field: FieldReader): CommittedPoint {
  return { ...readCommittedPoint(field), position: field('position', integer(Number.MAX_SAFE_INTEGER)) };
}

function readExpiredPoint(field: FieldReader): ExpiredPoint {
  const expiredAt = field('expiredAt', time);
  return { ...readPoint(field), expiredAt, expiredBecause: field('expiredBecause', text(LONGEST_REASON)) };
}

function readRetention(field: FieldReader): [string, SetRetention] {
  const previous = field('previous', optional(retentionPolicy));
  const set = {
    policy: field('policy', retentionPolicy),
    confirmed: field('confirmed', yesOrNo),
    at: field('at', time),
    ...(previous === undefined ? {} : { previous }),
  };
  return [field('group', groupOrAny), set];
}

const groupOrAny: Check<string> = (value, what) => (value === ANY_GROUP ? ANY_GROUP : label(value, what));

function readMoved(field: FieldReader): [string, string][] {
  const move = field('move', name);
  return field('packs', packedNames).map((pack) => [pack, move]);
}

function readVerified(field: FieldReader): [number, VerifiedShard] {
  const [at, keyed] = [field('at', time), field('keyed', yesOrNo)];
  return [
    field('shard', integer(SHARDS - 1)),
    { at, keyed, position: field('position', integer(Number.MAX_SAFE_INTEGER)) },
  ];
}

function lockedShard([shard, until]: readonly [number, string]) {
  return { shard, until };
}

function readLockedShard(field: FieldReader): [number, string] {
  return [field('shard', integer(SHARDS - 1)), field('until', time)];
}

function placeAt(position: number): RecordPlace {
  return { kind: RecordKind.journalState, context: stateKey(position) };
}

function exactly(expected: number): Check<number> {
  return (value, what) => {
    const found = integer(Number.MAX_SAFE_INTEGER)(value, what);
    if (found === expected) return found;
    throw new EkkoError('bad-format', `${what} is ${found}, expected ${expected}.`);
  };
}

function all<T>(read: (field: FieldReader) => T): Check<readonly T[]> {
  return listOf((value, what) => readFields(value, what, read), Number.POSITIVE_INFINITY);
}

function packsByMove({ moved }: VaultState): Map<string, string[]> {
  const byMove = new Map<string, string[]>();
  for (const [pack, move] of moved) {
    const packs = byMove.get(move);
    if (packs === undefined) byMove.set(move, [pack]);
    else packs.push(pack);
  }
  return byMove;
}

function packed(names: readonly string[]): string {
  return Buffer.from(names.join(''), 'hex').toString('base64');
}

/** Names as one base64 string of 32 bytes each: a vault may have condemned a million. */
const packedNames: Check<readonly string[]> = (value, what) => {
  const packed = typeof value === 'string' ? Buffer.from(value, 'base64') : Buffer.alloc(1);
  if (packed.length % 32 !== 0) throw new EkkoError('bad-format', `${what} is not a string of packed names.`);
  return Array.from({ length: packed.length / 32 }, (_, i) => packed.toString('hex', i * 32, (i + 1) * 32));
};
