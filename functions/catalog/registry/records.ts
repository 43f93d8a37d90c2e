import { EkkoError } from '#vault/errors.ts';
import { checker } from '../../rim/strict-ajv.ts';
import type { PolicyDefinition } from '../policies/policy.ts';
import type { RestoreRecord } from '../restores/restore-record.ts';
import type { RecordPath, Registry } from './registry.ts';

/** What the registry holds. */
export interface VaultRecord {
  readonly vault: string;
  /** `swift:CONTAINER[/PREFIX]` */
  readonly store: string;
  /** Of the vault itself: 32 hex digits. */
  readonly id: string;
  /** How its key is found: never the key. */
  readonly access: Readonly<Record<string, string>>;
  readonly createdAt: string;
}

export interface PolicyRecord {
  readonly policy: string;
  readonly definition: PolicyDefinition;
  readonly updatedAt: string;
}

export interface ExporterRecord {
  /** As Nova calls the host. */
  readonly host: string;
  readonly url: string;
  readonly seenAt: string;
}

/** Of a policy: its newest restore point; its newest run, and when that began. */
export interface LastRecord {
  readonly point?: string;
  readonly run?: string;
  readonly begunAt?: string;
}

/** Of a policy: the bitmaps of its disks are not to be built upon until a run that read everything is committed. */
export interface DistrustRecord {
  /** The run whose audit failed. */
  readonly run: string;
}

/** By the id that the caller gave. */
export interface RequestRecord {
  readonly run: string;
}

/** Work that goes on after its request was answered. */
export interface BackgroundRecord {
  /** Who does it: one process at one time. */
  readonly id: string;
  readonly state: 'running' | 'done' | 'failed';
  readonly startedAt: string;
  /** The last sign of life of the process that does it. */
  readonly seenAt?: string;
  readonly endedAt?: string;
  readonly problem?: string;
}

export interface UpkeepRecord extends BackgroundRecord {
  readonly report?: Readonly<Record<string, unknown>>;
}

/** Restore points of a vault that are copied to another one of the project. */
export interface CopyRecord extends BackgroundRecord {
  readonly vault: string;
  readonly to: string;
  /** Of this policy only. */
  readonly group?: string;
  /** Restore points that were copied; the newest of them, as the other vault calls it. */
  readonly copied: number;
  readonly newest?: string;
  /** Bytes of disk that were read. */
  readonly bytesRead: number;
  /** Restore points of which something is damaged in the vault, the first of them: tried again each time, until they can be copied or are deleted. */
  readonly failed: readonly { readonly point: string; readonly message: string }[];
}

/** A run of an image is called by none of the names that policies have. */
export const IMAGE_POLICY = 'image:';

export interface RunRecord {
  readonly run: string;
  readonly policy: string;
  readonly vault: string;
  readonly request?: string;
  readonly reason?: string;
  readonly startedAt: string;
  readonly quiesce: 'require' | 'prefer' | 'never';
  /** Bytes of disk a second. */
  readonly bandwidth?: number;
  /** Exporters ask what the vault has before they send it. */
  readonly sourceDedupe?: boolean;
  readonly members: readonly RunMember[];
  /** How often the backup of an image that members need has failed, by digest. */
  readonly imageFailures?: Readonly<Record<string, number>>;
  /** Once the moment was taken. */
  readonly moment?: TakenMoment;
  /** Once it has ended. */
  readonly ended?: RunEnd;
}

export interface RunMember {
  readonly server: string;
  readonly name: string;
  /** Undefined: no exporter is known for it. */
  readonly host?: string;
  readonly exporter?: string;
  readonly disks: readonly RunDisk[];
  /** Why it takes no part. */
  readonly problem?: string;
}

export interface RunDisk {
  /** The disk's number in the run. */
  readonly index: number;
  /** In the restore point: `<server>/<volume or device>`. */
  readonly name: string;
  /** As the exporter calls it. */
  readonly source: string;
  /** Bytes. */
  readonly size: number;
  /** Digest of the image that it was built on; '' while its exporter reads that. */
  readonly image?: string;
}

export interface TakenMoment {
  readonly takenAt: string;
  /** Milliseconds from the first freeze asked for to the last thaw answered. */
  readonly windowMs: number;
  /** Of that, from the first checkpoint asked for to the last one answered. */
  readonly checkpointMs: number;
  /** Why a member did not take part, by server. */
  readonly problems: Readonly<Record<string, string>>;
}

export interface RunEnd {
  readonly outcome: 'committed' | 'abandoned';
  readonly at: string;
  readonly reason?: string;
  /** Servers that the point does not hold. */
  readonly missing?: readonly string[];
}

const text = { type: 'string', maxLength: 4096 } as const;
const shape = (properties: Record<string, object>) => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
});
const background = { state: text, startedAt: text };
/** Only what is relied upon: the registry is the operator's own, and a damaged record must not look like a sound one. */
const CHECKS = {
  vaults: checker<VaultRecord>(
    shape({
      ...{ vault: text, store: text, id: { type: 'string', pattern: '^[0-9a-f]{32}$' } },
      access: { type: 'object', additionalProperties: text },
    }),
    'A vault in the registry',
  ),
  policies: checker<PolicyRecord>(
    shape({ policy: text, definition: { type: 'object' }, updatedAt: text }),
    'A policy in the registry',
  ),
  exporters: checker<ExporterRecord>(shape({ host: text, url: text, seenAt: text }), 'An exporter in the registry'),
  requests: checker<RequestRecord>(shape({ run: text }), 'A request in the registry'),
  distrusts: checker<DistrustRecord>(shape({ run: text }), 'A distrust in the registry'),
  lasts: checker<LastRecord>(
    { type: 'object', properties: { point: text, run: text, begunAt: text } },
    'A last point in the registry',
  ),
  upkeeps: checker<UpkeepRecord>(shape(background), 'An upkeep in the registry'),
  copies: checker<CopyRecord>(
    shape({
      ...{ ...background, vault: text, to: text, copied: { type: 'integer' } },
      failed: { type: 'array', items: shape({ point: text, message: text }) },
    }),
    'A copy in the registry',
  ),
  restores: checker<RestoreRecord>(
    shape({
      ...{ restore: text, vault: text, point: text, takenAt: text, startedAt: text },
      disks: { type: 'array', items: shape({ name: text, manifest: text, size: { type: 'number' }, state: text }) },
    }),
    'A restore in the registry',
  ),
  runs: checker<RunRecord>(
    shape({
      ...{ run: text, policy: text, vault: text, startedAt: text, quiesce: text },
      members: { type: 'array', items: shape({ server: text, name: text, disks: { type: 'array' } }) },
    }),
    'A run in the registry',
  ),
} as const;

export type RecordKind = keyof typeof CHECKS;
export type RecordOf<K extends RecordKind> = ReturnType<(typeof CHECKS)[K]>;

/** A record and the version that the next change must follow. */
export interface Versioned<T> {
  readonly version: number;
  readonly value: T;
}

/** The newest version of a record, its shape checked. Throws `damaged`, and what the registry throws. */
export async function readRecord<K extends RecordKind>(
  registry: Registry,
  kind: K,
  ...rest: RecordPath
): Promise<Versioned<RecordOf<K>> | undefined> {
  const found = await registry.read([kind, ...rest]);
  return found === undefined ? undefined : { version: found.version, value: checkRecord(kind, found.record) };
}

/** Throws `damaged` unless the value is a record of its kind. */
export function checkRecord<K extends RecordKind>(kind: K, value: unknown): RecordOf<K> {
  try {
    return CHECKS[kind](value) as RecordOf<K>;
  } catch (cause) {
    throw new EkkoError('damaged', cause instanceof Error ? cause.message : 'A record of the registry is damaged.', {
      cause,
    });
  }
}

/** As `readRecord`; throws `not-found` in words of the caller. Of another project's records nothing is told. */
export async function requireRecord<K extends RecordKind>(
  registry: Registry,
  kind: K,
  project: string,
  name: string,
): Promise<Versioned<RecordOf<K>>> {
  const found = await readRecord(registry, kind, project, name);
  if (found !== undefined) return found;
  const what = {
    vaults: 'vault',
    policies: 'policy',
    runs: 'run',
    exporters: 'exporter',
    requests: 'request',
    upkeeps: 'upkeep',
    copies: 'copy',
    lasts: 'restore point',
    distrusts: 'distrust',
    restores: 'restore',
  }[kind];
  throw new EkkoError('not-found', `There is no ${what} ${JSON.stringify(name.slice(0, 80))} in this project.`);
}
