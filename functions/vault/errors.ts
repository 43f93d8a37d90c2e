/**
 * What went wrong, as a public code. Decide by `code`, never by `instanceof`: bundles carry their own copy of the class.
 *
 * | code | means |
 * |---|---|
 * | `bad-input` | an argument, setting or request that cannot be meant |
 * | `bad-format` | bytes that are not what their place says (magic, version, length, order) |
 * | `damaged` | bytes that fail their digest, authentication or segment id |
 * | `object-missing` | the store has no object of that key |
 * | `object-exists` | create-if-absent found an object where there must be none |
 * | `store-failed` | the store answered with an error that is not one of the above (full, forbidden, unreachable) |
 * | `wrong-key` | the key given opens nothing here |
 * | `no-escrow` | a first commit without a second recipient or a confirmed escrow code |
 * | `journal-broken` | gap, fork, wrong chain digest or MAC in the journal |
 * | `run-ended` | the run has been abandoned or committed already |
 * | `run-incomplete` | parts or receipts are missing |
 * | `condemned` | what the commit would make live has been condemned |
 * | `held` | a restore point that a hold keeps |
 * | `part-refused` | a staged part that lies, or is not sealed to this vault and run |
 * | `audit-failed` | segments that a bitmap calls clean have changed: it cannot be built upon |
 * | `point-unknown` | no restore point of that name |
 * | `disk-unknown` | no disk of that name |
 * | `busy` | somebody else is working on this disk or socket |
 * | `qemu-failed` | QEMU, its NBD server or its guest agent refused or broke off |
 * | `target-failed` | the restore target cannot be written |
 * | `function-failed` | a function broke off without saying why (its worker died, or its bundle cannot be loaded), or what it had made was wrong when it looked again |
 * | `token-refused` | no token, or one that the cloud does not know (any more) |
 * | `forbidden` | the caller's roles do not allow it |
 * | `not-found` | nothing of that name that the caller may see |
 * | `too-large` | more than a request or a group may have |
 * | `too-many-requests` | the caller asks faster than the service answers one project |
 * | `run-under-way` | the policy has a run that has not ended |
 * | `cloud-failed` | a service of the cloud refused, or did not answer |
 * | `exporter-failed` | an exporter refused, or did not answer |
 */
export type ErrorCode =
  | 'bad-input'
  | 'bad-format'
  | 'damaged'
  | 'object-missing'
  | 'object-exists'
  | 'store-failed'
  | 'wrong-key'
  | 'no-escrow'
  | 'journal-broken'
  | 'run-ended'
  | 'run-incomplete'
  | 'condemned'
  | 'held'
  | 'part-refused'
  | 'audit-failed'
  | 'point-unknown'
  | 'disk-unknown'
  | 'busy'
  | 'qemu-failed'
  | 'target-failed'
  | 'function-failed'
  | 'token-refused'
  | 'forbidden'
  | 'not-found'
  | 'too-large'
  | 'too-many-requests'
  | 'run-under-way'
  | 'cloud-failed'
  | 'exporter-failed';

/** The one error class. The message names the object, says what was found, and what to do next. */
export class EkkoError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'EkkoError';
    this.code = code;
  }
}

/** The code of an error of ours (from any copy of the class), else undefined. */
export function codeOf(error: unknown): ErrorCode | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error) || !('name' in error)) return undefined;
  return error.name === 'EkkoError' ? (error.code as ErrorCode) : undefined;
}

const UNREADABLE: ReadonlySet<ErrorCode | undefined> = new Set<ErrorCode | undefined>([
  ...(['object-missing', 'damaged', 'bad-format', 'wrong-key'] as const),
]);

/** Whether an object is at fault, not the way to it: of a store that fails nothing is known. */
export function isUnreadable(error: unknown): error is Error {
  return UNREADABLE.has(codeOf(error));
}
