import type { UploadRight } from '#vault/export-ticket.ts';
import type { ReaderSettings } from '#vault/restore/open-reader.ts';
import type { Vault } from '#vault/vault.ts';
import type { Caller } from '../caller.ts';
import type { VaultRecord } from '../registry/records.ts';

/** Makes and opens the vaults of tenants, each with the rights of whoever calls. Implementations: Swift with Barbican; directories in tests. */
export interface TenantVaults {
  /**
   * Makes the vault, or finds the one that is there and opens with a key that the caller may have. Idempotent. Throws `bad-input` (a place
   * that cannot be meant), `wrong-key` (another's vault lies there), `cloud-failed`, `store-failed`.
   */
  make(caller: Caller, wanted: WantedVault): Promise<Pick<VaultRecord, 'id' | 'access'>>;
  /** Throws `token-refused`, `wrong-key`, `object-missing`, `cloud-failed`, `store-failed`, and what `openVault` throws. */
  open(caller: Caller, record: VaultRecord): Promise<TenantVault>;
}

export interface WantedVault {
  readonly vault: string;
  /** `swift:CONTAINER[/PREFIX]` */
  readonly store: string;
  /** Public keys that shall be able to open it too: `ekko-recipient-1:…`. */
  readonly recipients: readonly string[];
  /** Said aloud: no second recipient is needed. */
  readonly escrowWaived: boolean;
}

/** A vault that is open, with keys and token in memory until it is closed. */
export interface TenantVault {
  readonly vault: Vault;
  /** Calls a function (`segment-processor`, `point-committer`, `retention`, `sweeper`, `verifier`, `replicator`) over this vault. Rejects with its code. */
  invoke(name: string, event: unknown): Promise<unknown>;
  /** How other threads open the vault to read it, with rights as they are now; undefined: they cannot. Secret. */
  readonly readerSettings: (() => ReaderSettings) | undefined;
  /** The right to write below `staging/<run>/` and nothing else, for some hours: an object goes to `url + key + query` by PUT. */
  upload(run: string): Promise<UploadRight>;
  /** Acts with this caller’s token, unless the one in use lasts longer and has not failed. Throws nothing that concerns the caller. */
  renew(caller: Caller): Promise<void>;
  close(): Promise<void>;
}
