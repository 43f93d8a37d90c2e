import type { LockMode, VaultLock } from '../words.ts';
import type { StoredObject } from './object-store.ts';

/**
 * What a store can do that locks objects and keeps their versions (S3 Object Lock). Which objects are locked, the key says: those that
 * a vault is made of (`isLasting`). Nothing is locked before `begin`.
 */
export interface ObjectLocking {
  /** What `begin` was given last. */
  rule(): VaultLock | undefined;
  /**
   * From now on what lasts is created locked, and read past whatever was laid over it: of `vault.json`, the journal and key objects the
   * first version counts, of content-named objects one that has its name, and no delete marker counts. `remove` removes all versions.
   */
  begin(rule: VaultLock): void;
  /** The store's time. Throws `store-failed` where this machine's clock says another one by minutes. */
  now(): Promise<Date>;
  /** Tries on a scratch object of its own what the store does with a lock. Throws `store-failed`. */
  probe(mode: LockMode): Promise<LockProbe>;
  /** All keys below `prefix`, hidden ones too, ascending, each with its versions. Throws `store-failed`. */
  versions(prefix: string): AsyncIterable<StoredVersions>;
  /** Locks the version that counts until then; what is locked for longer stays so. Throws `store-failed`, `object-missing`. */
  extend(object: StoredVersions, until: Date): Promise<void>;
  /** Of those that cannot be removed now: until when. Throws `store-failed`. */
  kept(keys: readonly string[]): Promise<readonly KeptObject[]>;
  /** Whether who reads the object as any other gets the version that counts. Reads it. Throws `store-failed`. */
  isOnTop(object: StoredVersions): Promise<boolean>;
  /** Takes away whatever lies over the version that counts; what cannot be taken away is covered by the right bytes. Throws `store-failed`. */
  uncover(object: StoredVersions): Promise<Uncovered>;
  /** Writes a new version over whatever is there, of an object that lasts. Throws `store-failed`. */
  cover(key: string, bytes: Uint8Array): Promise<void>;
}

/** An object that a lock keeps from being removed. */
export interface KeptObject {
  readonly key: string;
  /** Undefined: somebody has laid a legal hold on it, which has no end. */
  readonly until: Date | undefined;
}

export interface StoredVersions extends StoredObject {
  /** Newest first. With a great many, some between the newest and the oldest are left out. */
  readonly versions: readonly StoredVersion[];
  /** Ids of its delete markers. */
  readonly markers: readonly string[];
  /** A delete marker is the newest: the object does not seem to be there. */
  readonly hidden: boolean;
}

export interface StoredVersion {
  readonly id: string;
  readonly size: number;
}

/** `covered`: as `uncovered`, but something stays below. `lost`: no version has the bytes that the name stands for. */
export type Uncovered = 'right' | 'uncovered' | 'covered' | 'lost';

/** What became of a locked scratch object. */
export interface LockProbe {
  /** Undefined: it was written locked. Else what the store said. */
  readonly refused: string | undefined;
  /** What is read back is the lock that was asked for. */
  readonly readBack: boolean;
  /** Each of these should be refused, and was not. */
  readonly failures: readonly LockFailure[];
  /** Governance only: these credentials can lift it. */
  readonly bypassed: boolean;
}

export type LockFailure = 'shortened' | 'removed' | 'removed in bulk';
