import { EkkoError } from '../errors.ts';
import { LARGEST_DISK } from '../words.ts';
import {
  type Check,
  type FieldReader,
  integer,
  label,
  listOf,
  name,
  optional,
  readFields,
  runId,
  text,
  time,
} from './fields.ts';

/**
 * What the journal can say. `at` and `takenAt` are ISO times for people; nothing is ever decided by them.
 * Names are those of content-named objects (SHA-256 in hex). Adding a type or a field makes older versions refuse the journal.
 */
export type JournalEntry =
  | VaultCreated
  | EscrowWaived
  | EscrowConfirmed
  | RunStarted
  | RunAbandoned
  | PointCommitted
  | Condemned;

/** The first entry of every journal. */
export interface VaultCreated {
  readonly type: 'vault-created';
  /** SHA-256 of the bytes of `vault.json`, in hex. */
  readonly vaultJson: string;
  readonly at: string;
}

/** Somebody said aloud that this vault needs no escrow. */
export interface EscrowWaived {
  readonly type: 'escrow-waived';
  readonly at: string;
}

/** The key has a second recipient, or its printed code was typed back. */
export interface EscrowConfirmed {
  readonly type: 'escrow-confirmed';
  readonly recipient: string;
  readonly at: string;
}

export interface RunStarted {
  readonly type: 'run-started';
  readonly run: string;
  readonly group: string;
  /** By the disk's number in the run. */
  readonly disks: readonly string[];
  /** Where it runs, for people. */
  readonly host: string;
  /** Which process runs it, for whoever wants to know whether it still lives. */
  readonly process?: string;
  readonly at: string;
}

/** The run can never commit. */
export interface RunAbandoned {
  readonly type: 'run-abandoned';
  readonly run: string;
  readonly reason: string;
  readonly at: string;
}

export interface PointCommitted {
  readonly type: 'point-committed';
  readonly run: string;
  readonly group: string;
  readonly point: string;
  readonly takenAt: string;
  readonly at: string;
  readonly disks: readonly CommittedDisk[];
}

export interface CommittedDisk {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly manifest: string;
}

/** Names that no later entry may make live again: they may be gone from the store. */
export interface Condemned {
  readonly type: 'condemned';
  readonly packs: readonly string[];
  readonly pages: readonly string[];
  readonly manifests: readonly string[];
  readonly points: readonly string[];
  readonly at: string;
}

export const MOST_DISKS = 1024;
/** Names in all lists of one `condemned` entry: so many surely fit into `LARGEST_ENTRY`. */
export const MOST_CONDEMNED = 15_000;
const LONGEST_REASON = 1000;

/** Makes any text, such as an error's message, fit the `reason` of an entry. */
export function reasonFrom(message: string): string {
  const line = message
    .toWellFormed()
    .replace(/\p{Cc}+/gu, ' ')
    .trim();
  return line.slice(0, LONGEST_REASON).toWellFormed() || 'unknown';
}

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

/** What `run-started` says of a run, beside its type. */
export function readStartedRun(field: FieldReader): Omit<RunStarted, 'type'> {
  const process = field('process', optional(label));
  return {
    run: field('run', runId),
    group: field('group', label),
    disks: field('disks', listOf(label, MOST_DISKS)),
    host: field('host', label),
    ...(process === undefined ? {} : { process }),
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
  };
}

const names = listOf(name, MOST_CONDEMNED);

function readCondemned(field: FieldReader): Condemned {
  const lists = {
    packs: field('packs', names),
    pages: field('pages', names),
    manifests: field('manifests', names),
    points: field('points', names),
  };
  const count = Object.values(lists).flat().length;
  if (count <= MOST_CONDEMNED) return { type: 'condemned', ...lists, at: field('at', time) };
  throw new EkkoError('bad-format', `A condemned entry lists ${count} names, at most ${MOST_CONDEMNED} are allowed.`);
}

const READERS = {
  'vault-created': (field) => ({
    type: 'vault-created',
    vaultJson: field('vaultJson', name),
    at: field('at', time),
  }),
  'escrow-waived': (field) => ({ type: 'escrow-waived', at: field('at', time) }),
  'escrow-confirmed': (field) => ({
    type: 'escrow-confirmed',
    recipient: field('recipient', label),
    at: field('at', time),
  }),
  'run-started': (field) => ({ type: 'run-started', ...readStartedRun(field) }),
  'run-abandoned': (field) => ({
    type: 'run-abandoned',
    run: field('run', runId),
    reason: field('reason', text(LONGEST_REASON)),
    at: field('at', time),
  }),
  'point-committed': (field) => ({ type: 'point-committed', ...readCommittedPoint(field) }),
  condemned: readCondemned,
} satisfies { [T in JournalEntry['type']]: (field: FieldReader) => Extract<JournalEntry, { type: T }> };

function isKnown(type: string): type is JournalEntry['type'] {
  return Object.hasOwn(READERS, type);
}
