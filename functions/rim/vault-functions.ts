/** Functions over one vault, in threads of this process or elsewhere. */
export interface VaultFunctions {
  invoke(name: string, event: unknown): Promise<unknown>;
  /** Lets calls under way end. */
  close(): Promise<void>;
}

/** What functions are started with. Secret as a whole. */
export interface FunctionPlace {
  /** URL of the vault. */
  readonly vault: string;
  /** How to get at the store: a token among it. */
  readonly environment: Readonly<Record<string, string>>;
  /** 32 bytes. */
  readonly privateKey: Uint8Array;
  readonly journalFile: string;
}
