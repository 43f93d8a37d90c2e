import type { Condemned, HoldPlaced, JournalEntry, PointCommitted } from '#vault/journal/entries.ts';
import type { VaultState } from '#vault/journal/state.ts';
import { deriveEpochKeys, type EpochKeys, type Keyring, keyringOf } from '#vault/keys/epoch-keys.ts';
import { contentName } from '#vault/store/object-names.ts';

/** Entries and keys that the journal's tests are made of. */
export const AT = '2026-11-20T19:15:03.000Z';

/** A keyring of one epoch whose root key is 32 times `byte`. */
export function keyringFrom(byte: number, epoch = 1): Keyring {
  return keyringOf([keysFrom(byte, epoch)]);
}

export function keysFrom(byte: number, epoch: number): EpochKeys {
  return deriveEpochKeys(Buffer.alloc(32, byte), 'test-vault', epoch);
}

/** A keyring that begins with epoch 1 and knows the keys of every one that the journal begins. */
export function growingKeyring(byte: number): Keyring {
  const held = [keysFrom(byte, 1)];
  return {
    get newest() {
      return held.at(-1) ?? keysFrom(byte, 1);
    },
    epoch: (epoch, origin) => keyringOf(held).epoch(epoch, origin),
    begin: async ({ epoch }) => {
      if (epoch === held.length + 1) held.push(keysFrom(byte, epoch));
    },
  };
}

/** A name that looks like an object's. */
export function nameFor(what: string): string {
  return contentName([Buffer.from(what)]);
}

export function runFor(n: number): string {
  return `20261120-191503-${n.toString(16).padStart(6, '0')}`;
}

/** Fingerprint of the `n`-th recipient. */
export function recipientFor(n: number): string {
  return n.toString(16).padStart(16, '0');
}

/** Recipients 1 and 2 can open the vault. */
export const created: JournalEntry = {
  type: 'vault-created',
  vaultJson: nameFor('vault.json'),
  recipients: [
    { recipient: recipientFor(1), kind: 'key-file', label: 'laptop' },
    { recipient: recipientFor(2), kind: 'escrow' },
  ],
  at: AT,
};

export function added(n: number): JournalEntry {
  return { type: 'recipient-added', recipient: recipientFor(n), kind: 'key-file', key: nameFor(`key ${n}`), at: AT };
}

export function rotated(epoch: number, ...recipients: number[]): JournalEntry {
  return {
    type: 'epoch-started',
    epoch,
    key: nameFor(`epoch ${epoch}`),
    recipients: recipients.map(recipientFor),
    at: AT,
  };
}

export function started(n: number): JournalEntry {
  return {
    type: 'run-started',
    run: runFor(n),
    group: 'web',
    disks: ['web-1/vda', 'web-1/vdb'],
    host: 'compute-1',
    at: AT,
  };
}

export function takenOver(n: number): JournalEntry {
  return { type: 'run-taken-over', run: runFor(n), host: 'compute-1', process: 'compute-1:4712', at: AT };
}

export function abandoned(n: number): JournalEntry {
  return { type: 'run-abandoned', run: runFor(n), reason: 'the exporter is gone', at: AT };
}

export function committed(n: number, change: Partial<PointCommitted> = {}): JournalEntry {
  return {
    type: 'point-committed',
    run: runFor(n),
    group: 'web',
    point: pointFor(n),
    takenAt: AT,
    at: AT,
    disks: [{ name: 'web-1/vda', size: 8 * 1024 ** 3, manifest: manifestFor(n) }],
    ...change,
  };
}

export function condemned(lists: Partial<Condemned>): JournalEntry {
  return { type: 'condemned', packs: [], pages: [], manifests: [], points: [], moves: [], at: AT, ...lists };
}

export function expired(...points: number[]): JournalEntry {
  return { type: 'points-expired', points: points.map(runFor), reason: 'keeps 2 daily', at: AT };
}

export function undeleted(...points: number[]): JournalEntry {
  return { type: 'points-undeleted', points: points.map(runFor), at: AT };
}

export function held(n: number, kind: HoldPlaced['kind'] = 'legal'): JournalEntry {
  return { type: 'hold-placed', hold: `case ${n}`, kind, points: [runFor(n)], reason: 'audit', host: 'desk', at: AT };
}

export function released(n: number): JournalEntry {
  return { type: 'hold-released', hold: `case ${n}`, at: AT };
}

export function moved(n: number): JournalEntry {
  return { type: 'packs-moved', move: nameFor(`move ${n}`), packs: [nameFor(`sparse ${n}`)], at: AT };
}

export function verified(shards: readonly number[], damaged: readonly string[] = []): JournalEntry {
  return { type: 'vault-verified', shards, keyed: true, objects: 10, bytes: 1000, damaged, at: AT };
}

export function pointFor(n: number): string {
  return nameFor(`point ${n}`);
}

export function manifestFor(n: number): string {
  return nameFor(`manifest ${n}`);
}

/** One entry of every type, in an order that can be. */
export const EVERY_TYPE: readonly JournalEntry[] = [
  created,
  { type: 'escrow-waived', at: AT },
  { type: 'escrow-confirmed', recipient: 'safe in room 3', at: AT },
  { ...started(1), process: 'compute-1:4711' } as JournalEntry,
  committed(1, { copyOf: { vault: '0123456789abcdef'.repeat(2), run: runFor(9) } }),
  started(2),
  abandoned(2),
  {
    type: 'retention-set',
    group: 'web',
    policy: {
      last: 1,
      hourly: 2,
      daily: 3,
      weekly: 4,
      monthly: 5,
      yearly: 6,
      withinHours: 7,
      timeZone: 'Europe/Berlin',
    },
    confirmed: true,
    at: AT,
  },
  { type: 'retention-set', policy: { daily: 30, timeZone: 'UTC' }, confirmed: false, at: AT },
  { ...held(1), process: 'desk:17' } as JournalEntry,
  released(1),
  expired(1),
  undeleted(1),
  expired(1),
  moved(1),
  verified([0, 255], [nameFor('bad page')]),
  { type: 'objects-repaired', objects: [nameFor('bad page')], at: AT },
  { type: 'locks-extended', shards: [0, 255], until: '2027-01-21T00:00:00.000Z', at: AT },
  condemned({
    packs: [nameFor('pack')],
    pages: [nameFor('page')],
    manifests: [manifestFor(1)],
    points: [pointFor(1)],
    moves: [nameFor('move 1')],
  }),
  { ...added(3), kind: 'passphrase', label: 'in the head' } as JournalEntry,
  { ...started(4), process: 'compute-1:4711', plan: nameFor('plan') } as JournalEntry,
  takenOver(4),
  rotated(2, 1, 3),
];

/** A state as plain values, with the order of its maps: `toEqual` alone does not see order. */
export function plain(state: VaultState): unknown {
  return {
    ...state,
    recipients: [...state.recipients.values()],
    removed: [...state.removed.values()],
    openRuns: [...state.openRuns.values()],
    points: [...state.points.values()],
    expired: [...state.expired.values()],
    holds: [...state.holds.values()],
    retention: [...state.retention],
    moved: [...state.moved],
    condemned: [...state.condemned],
    verified: [...state.verified],
    damaged: [...state.damaged],
    lockedUntil: [...state.lockedUntil],
  };
}
