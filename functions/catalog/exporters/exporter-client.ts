import { EkkoError } from '#vault/errors.ts';
import { checker } from '../../rim/strict-ajv.ts';
import { callForResult, type ServiceCall } from '../cloud/call-service.ts';

/** Where a member of a run is exported. */
export interface MemberPlace {
  readonly run: string;
  readonly server: string;
  readonly host: string;
  /** Of its exporter. */
  readonly exporter: string;
}

/** A disk of a server as its exporter sees it. */
export interface ExporterDisk {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly kind: 'volume' | 'local';
  /** Id of the Cinder volume. */
  readonly volume?: string;
  readonly device?: string;
  /** Digest of the image that it was built on; '' while that is being read. */
  readonly imageDigest?: string;
}

/** `prepared`, `frozen`, `checkpointed`, `held` (thawed again), `exporting`, `staged`, `failed`, `ended`; others may come. */
export interface ExporterState {
  readonly state: string;
  readonly disks: readonly DiskProgress[];
  readonly consistency?: string;
  readonly consistencyNote?: string;
  readonly frozenMs?: number;
  readonly takenAt?: string;
  readonly problem?: string | { readonly message: string };
}

export interface DiskProgress {
  readonly name: string;
  readonly bytesTotal: number;
  readonly bytesDone: number;
  readonly bytesKnown?: number;
}

export type Step = 'freeze' | 'checkpoint' | 'thaw' | 'export';

const text = { type: 'string', maxLength: 1024 } as const;
const bytes = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;
const disks = (properties: Record<string, object>, required: readonly string[]) => ({
  ...{ type: 'array', maxItems: 256 },
  items: { type: 'object', properties, required },
});
const checkDisks = checker<{ disks: ExporterDisk[] }>(
  {
    type: 'object',
    required: ['disks'],
    properties: {
      disks: disks(
        {
          name: { ...text, minLength: 1, maxLength: 128 },
          size: bytes,
          kind: { enum: ['volume', 'local'] },
          volume: text,
          device: text,
          imageDigest: { type: 'string', pattern: '^([0-9a-f]{64})?$' },
        },
        ['name', 'size', 'kind'],
      ),
    },
  },
  'The answer of the exporter',
);
const checkState = checker<ExporterState>(
  {
    type: 'object',
    required: ['state'],
    properties: {
      state: { ...text, maxLength: 32 },
      disks: {
        ...disks({ name: text, bytesTotal: bytes, bytesDone: bytes, bytesKnown: bytes }, [
          'name',
          'bytesTotal',
          'bytesDone',
        ]),
        default: [],
      },
      ...{ consistency: text, consistencyNote: text, takenAt: text },
      frozenMs: { type: 'number', minimum: 0 },
      problem: { anyOf: [text, { type: 'object', required: ['message'], properties: { message: text } }] },
    },
  },
  'The answer of the exporter',
);

/** Milliseconds. Freezing and checkpointing are short: a guest must not stand still for the sake of a host that hangs. */
const TIMEOUTS = {
  disks: 15_000,
  prepare: 60_000,
  freeze: 8000,
  checkpoint: 8000,
  thaw: 8000,
  export: 20_000,
  state: 8000,
  end: 60_000,
};

/**
 * Disks of a server, with no effect on it; `digests: 'no'` without those of images, for which their files may have to be read. Throws
 * `exporter-failed`, `not-found` (the host does not run it), `forbidden`, `token-refused`.
 */
export async function disksOf(
  place: Omit<MemberPlace, 'run'>,
  token: string,
  digests: 'yes' | 'no',
): Promise<ExporterDisk[]> {
  const url = `${place.exporter}/v1/servers/${place.server}${digests === 'no' ? '?digests=no' : ''}`;
  const { body } = await callForResult({ ...callTo(place, token), url, timeoutMs: TIMEOUTS.disks });
  return trusted(place, () => checkDisks(body).disks);
}

/** Has the exporter fetch its ticket and open the server's disks. Idempotent. Throws as above. */
export function prepareMember(place: MemberPlace, token: string, catalog: string, names: readonly string[]) {
  const body = { catalog, disks: names };
  return callForState(place, token, { method: 'PUT', again: true, body, timeoutMs: TIMEOUTS.prepare });
}

/** Why a member failed, in words. */
export function problemIn({ problem }: ExporterState): string | undefined {
  return typeof problem === 'object' ? problem.message : problem;
}

/** One step of the moment, or the export. Idempotent at the exporter, but in a moment nothing is asked twice: time has passed. Throws as above. */
export function stepMember(place: MemberPlace, token: string, step: Step) {
  const again = step === 'export' || step === 'thaw';
  return callForState(place, token, { method: 'POST', again, timeoutMs: TIMEOUTS[step] }, `/${step}`);
}

export function stateOfMember(place: MemberPlace, token: string): Promise<ExporterState> {
  return callForState(place, token, { timeoutMs: TIMEOUTS.state });
}

/** Ends the moment: bitmaps are kept or merged back. Idempotent. Throws as above; an exporter that knows nothing of the run is content. */
export async function endMember(place: MemberPlace, token: string, outcome: 'committed' | 'abandoned'): Promise<void> {
  const call: ServiceCall = {
    ...callTo(place, token),
    method: 'DELETE',
    again: true,
    timeoutMs: TIMEOUTS.end,
    url: urlOf(place),
  };
  await callForResult({ ...call, url: `${call.url}?outcome=${outcome}` }).catch((error: unknown) => {
    if (!(error instanceof EkkoError && error.code === 'not-found')) throw error;
  });
}

async function callForState(
  place: MemberPlace,
  token: string,
  how: Partial<ServiceCall>,
  path = '',
): Promise<ExporterState> {
  const { body } = await callForResult({ ...callTo(place, token), ...how, url: urlOf(place) + path });
  return trusted(place, () => checkState(body));
}

function urlOf({ exporter, run, server }: MemberPlace): string {
  return `${exporter}/v1/runs/${run}/servers/${server}`;
}

function callTo({ host }: Pick<MemberPlace, 'host'>, token: string) {
  return {
    service: `The exporter of host ${host}`,
    failure: 'exporter-failed',
    headers: { 'x-auth-token': token },
    url: '',
  } as const;
}

/** What is not of its form is the exporter's fault, not the caller's. */
function trusted<T>({ host }: Pick<MemberPlace, 'host'>, check: () => T): T {
  try {
    return check();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : '';
    throw new EkkoError('exporter-failed', `The exporter of host ${host} answers what it should not. ${why}`, {
      cause,
    });
  }
}
