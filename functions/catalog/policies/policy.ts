import type { RetentionPolicy } from '#vault/journal/entries.ts';

/** What to protect, when, how consistent, how long to keep: the body of `PUT /v1/policies/{policy}`. */
export interface PolicyDefinition {
  readonly vault: string;
  readonly members: {
    readonly stack?: string;
    readonly servers?: readonly string[];
    readonly tags?: readonly string[];
  };
  readonly disks?: { readonly include?: readonly string[]; readonly exclude?: readonly string[] };
  readonly schedule?: { readonly cron: string; readonly timeZone: string };
  readonly retention?: PolicyRetention;
  readonly quiesce: 'require' | 'prefer' | 'never';
  readonly bandwidth?: number;
  readonly sourceDedupe?: boolean;
  readonly hooks?: readonly PolicyHook[];
  readonly copyTo?: { readonly vault: string };
  readonly notify?: readonly PolicyNotice[];
}

/** A program that is asked, by POST, before or after the moment, or when a run has failed. Its address may be secret. */
export interface PolicyHook {
  readonly when: 'before' | 'after' | 'failed';
  readonly url: string;
  /** Undefined: `fail` before the moment, else `continue`. */
  readonly onError?: 'fail' | 'continue';
  /** Seconds. */
  readonly timeout: number;
  /** Sent instead of what is sent otherwise. */
  readonly body?: Readonly<Record<string, unknown>>;
}

/** Who is told of what. */
export interface PolicyNotice {
  readonly kind: 'webhook' | 'queue' | 'mail';
  readonly url?: string;
  readonly queue?: string;
  readonly to?: readonly string[];
  readonly events?: readonly NoticeEvent[];
}

export type NoticeEvent = (typeof NOTICE_EVENTS)[number];

/** As the vault keeps it, but for how `within` is written. */
export interface PolicyRetention extends Omit<RetentionPolicy, 'withinHours'> {
  /** `48h`, `14d`, `2w` */
  readonly within?: string;
}

/** Servers that one policy protects at most, however they are found. */
export const MOST_MEMBERS = 250;

/** What somebody can be told of. */
export const NOTICE_EVENTS = ['success', 'partial', 'failure', 'unprotected', 'missed', 'copy-failed'] as const;
