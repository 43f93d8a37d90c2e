import { EkkoError } from '../errors.ts';
import {
  type Check,
  type FieldReader,
  fingerprint,
  integer,
  label,
  listOf,
  name,
  oneOf,
  optional,
  readFields,
  runId,
  text,
  time,
  vaultId,
  yesOrNo,
} from '../format/fields.ts';
import { MOST_EPOCHS, MOST_RECIPIENTS } from '../format/key-epoch.ts';
import { LARGEST_DISK } from '../words.ts';
import {
  type CommittedDisk,
  type Condemned,
  type CopiedPoint,
  type HoldPlaced,
  type JournalEntry,
  LONGEST_REASON,
  MOST_DISKS,
  MOST_NAMES,
  type PointCommitted,
  type RetentionPolicy,
  type RunStarted,
  SHARDS,
} from './entries.ts';
import type { NamedRecipient } from './key-entries.ts';

/** The entry in a JSON value, with its own fields only. Throws `bad-format` naming `origin`. */
export function checkEntry(value: unknown, origin: string): JournalEntry {
  return readFields(value, origin, (field) => {
    const type = field('type', text(64));
    if (isKnown(type)) return READERS[type](field);
    throw new EkkoError(
      'bad-format',
      `${origin} is a ${JSON.stringify(type)} entry, which this Ekko does not know: a newer one wrote it. Update this one.`,
    );
  });
}

const disk: Check<CommittedDisk> = (value, what) =>
  readFields(value, what, (field) => ({
    name: field('name', label),
    size: field('size', integer(LARGEST_DISK)),
    manifest: field('manifest', name),
  }));

/** Who a recipient is, as entries say it. */
export function readNamedRecipient(field: FieldReader): NamedRecipient {
  return {
    recipient: field('recipient', fingerprint),
    kind: field('kind', oneOf('key-file', 'escrow', 'passphrase', 'barbican')),
    ...given('label', field('label', optional(label))),
  };
}

/** What `run-started` says of a run, beside its type. */
export function readStartedRun(field: FieldReader): Omit<RunStarted, 'type'> {
  return {
    run: field('run', runId),
    group: field('group', label),
    disks: field('disks', listOf(label, MOST_DISKS)),
    host: field('host', label),
    ...given('process', field('process', optional(label))),
    ...given('plan', field('plan', optional(name))),
    at: field('at', time),
  };
}

/** What `point-committed` says of a point, beside its type. */
export function readCommittedPoint(field: FieldReader): Omit<PointCommitted, 'type'> {
  return {
    run: field('run', runId),
    group: field('group', label),
    point: field('point', name),
    takenAt: field('takenAt', time),
    at: field('at', time),
    disks: field('disks', listOf(disk, MOST_DISKS)),
    ...given('copyOf', field('copyOf', optional(copiedPoint))),
  };
}

/** What `hold-placed` says of a hold, beside its type. */
export function readPlacedHold(field: FieldReader): Omit<HoldPlaced, 'type'> {
  return {
    hold: field('hold', label),
    kind: field('kind', oneOf('legal', 'read')),
    points: field('points', runs),
    reason: field('reason', text(LONGEST_REASON)),
    host: field('host', label),
    ...given('process', field('process', optional(label))),
    at: field('at', time),
  };
}

/** Keeps no rule at all, or a number that cannot be meant: refused. Whether the time zone exists is for those who ask it. */
export const retentionPolicy: Check<RetentionPolicy> = (value, what) =>
  readFields(value, what, (field) => ({
    ...given('last', field('last', count)),
    ...given('hourly', field('hourly', count)),
    ...given('daily', field('daily', count)),
    ...given('weekly', field('weekly', count)),
    ...given('monthly', field('monthly', count)),
    ...given('yearly', field('yearly', count)),
    ...given('withinHours', field('withinHours', count)),
    timeZone: field('timeZone', label),
  }));

const namedRecipient: Check<NamedRecipient> = (value, what) => readFields(value, what, readNamedRecipient);

const MOST_RETAINED = 100_000;
const count = optional(integer(MOST_RETAINED));
const names = listOf(name, MOST_NAMES);
const runs = listOf(runId, MOST_NAMES);

export const copiedPoint: Check<CopiedPoint> = (value, what) =>
  readFields(value, what, (field) => ({ vault: field('vault', vaultId), run: field('run', runId) }));

/** An optional field is left out rather than undefined: entries are compared and stored as they are. */
function given<K extends string, T>(key: K, value: T | undefined): { readonly [P in K]?: T } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]: T });
}

function readCondemned(field: FieldReader): Condemned {
  const lists = {
    packs: field('packs', names),
    pages: field('pages', names),
    manifests: field('manifests', names),
    points: field('points', names),
    moves: field('moves', names),
  };
  const listed = Object.values(lists).flat().length;
  if (listed <= MOST_NAMES) return { type: 'condemned', ...lists, at: field('at', time) };
  throw new EkkoError('bad-format', `A condemned entry lists ${listed} names, at most ${MOST_NAMES} are allowed.`);
}

const READERS = {
  'vault-created': (field) => ({
    type: 'vault-created',
    vaultJson: field('vaultJson', name),
    recipients: field('recipients', listOf(namedRecipient, MOST_RECIPIENTS)),
    at: field('at', time),
  }),
  'escrow-waived': (field) => ({ type: 'escrow-waived', at: field('at', time) }),
  'escrow-confirmed': (field) => ({
    type: 'escrow-confirmed',
    recipient: field('recipient', label),
    at: field('at', time),
  }),
  'epoch-started': (field) => ({
    type: 'epoch-started',
    epoch: field('epoch', integer(MOST_EPOCHS)),
    key: field('key', name),
    recipients: field('recipients', listOf(fingerprint, MOST_RECIPIENTS)),
    at: field('at', time),
  }),
  'recipient-added': (field) => ({
    type: 'recipient-added',
    ...readNamedRecipient(field),
    key: field('key', name),
    at: field('at', time),
  }),
  'run-started': (field) => ({ type: 'run-started', ...readStartedRun(field) }),
  'run-taken-over': (field) => ({
    type: 'run-taken-over',
    run: field('run', runId),
    host: field('host', label),
    process: field('process', label),
    at: field('at', time),
  }),
  'run-abandoned': (field) => ({
    type: 'run-abandoned',
    run: field('run', runId),
    reason: field('reason', text(LONGEST_REASON)),
    at: field('at', time),
  }),
  'point-committed': (field) => ({ type: 'point-committed', ...readCommittedPoint(field) }),
  'points-expired': (field) => ({
    type: 'points-expired',
    points: field('points', runs),
    reason: field('reason', text(LONGEST_REASON)),
    at: field('at', time),
  }),
  'points-undeleted': (field) => ({ type: 'points-undeleted', points: field('points', runs), at: field('at', time) }),
  'hold-placed': (field) => ({ type: 'hold-placed', ...readPlacedHold(field) }),
  'hold-released': (field) => ({ type: 'hold-released', hold: field('hold', label), at: field('at', time) }),
  'retention-set': (field) => ({
    type: 'retention-set',
    ...given('group', field('group', optional(label))),
    policy: field('policy', retentionPolicy),
    confirmed: field('confirmed', yesOrNo),
    at: field('at', time),
  }),
  'packs-moved': (field) => ({
    type: 'packs-moved',
    move: field('move', name),
    packs: field('packs', names),
    at: field('at', time),
  }),
  condemned: readCondemned,
  'vault-verified': (field) => ({
    type: 'vault-verified',
    shards: field('shards', listOf(integer(SHARDS - 1), SHARDS)),
    keyed: field('keyed', yesOrNo),
    objects: field('objects', integer(Number.MAX_SAFE_INTEGER)),
    bytes: field('bytes', integer(Number.MAX_SAFE_INTEGER)),
    damaged: field('damaged', names),
    at: field('at', time),
  }),
  'objects-repaired': (field) => ({
    type: 'objects-repaired',
    objects: field('objects', names),
    at: field('at', time),
  }),
  'locks-extended': (field) => ({
    type: 'locks-extended',
    shards: field('shards', listOf(integer(SHARDS - 1), SHARDS)),
    until: field('until', time),
    at: field('at', time),
  }),
} satisfies { [T in JournalEntry['type']]: (field: FieldReader) => Extract<JournalEntry, { type: T }> };

function isKnown(type: string): type is JournalEntry['type'] {
  return Object.hasOwn(READERS, type);
}
