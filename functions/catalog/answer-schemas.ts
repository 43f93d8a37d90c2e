import { document } from './document-schema.ts';
import { POLICY_SCHEMA } from './policies/policy-schema.ts';
import { NAME, UUID } from './schemas.ts';
import { TOPOLOGY_SCHEMA } from './topology/topology-schema.ts';

/** Documents that the service answers with, as JSON Schema 2020-12, by name: the components of the OpenAPI document. */
const text = { type: 'string' } as const;
const time = { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?Z$' } as const;
const bytes = { type: 'integer', minimum: 0, description: 'Bytes.' } as const;
const run = { type: 'string', pattern: '^\\d{8}-\\d{6}-[0-9a-f]{6}$' } as const;
const milliseconds = { type: 'number', minimum: 0 } as const;
const next = { ...text, description: 'The marker of the next page; absent on the last one.' } as const;
const flag = { type: 'boolean' } as const;
const listOf = (items: object) => ({ type: 'array', items }) as const;
const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` }) as const;

const point = {
  ...{ point: run, group: text, takenAt: time, disks: { type: 'integer' }, size: bytes },
  ...{ changedBytes: bytes, newBytes: bytes, storedBytes: bytes },
  consistency: { enum: ['application', 'file-system', 'crash'] },
  partial: flag,
  missing: listOf(text),
};
const member = {
  ...{
    server: text,
    name: text,
    'host?': text,
    'bytesDone?': bytes,
    'bytesTotal?': bytes,
    'bytesKnown?': bytes,
    'problem?': text,
  },
  state: { enum: ['waiting', 'prepared', 'held', 'exporting', 'staged', 'failed', 'ended'] },
};
const warning = document({
  code: { enum: ['no-exporter', 'server-missing', 'unprotected-server', 'unprotected-volume'] },
  ...{ server: text, message: text, 'volume?': text },
});

const restore = {
  ...{ restore: UUID, vault: NAME, point: run, takenAt: time, 'server?': text, startedAt: time, 'endedAt?': time },
  state: { enum: ['copying', 'complete', 'failed', 'cancelled'] },
  ...{ bytesDone: bytes, bytesTotal: bytes },
};
const restoredDisks = {
  disks: listOf(
    document({
      ...{ name: text, size: bytes, gib: { type: 'integer' }, 'image?': UUID, bytesDone: bytes, 'bytesTotal?': bytes },
      becomes: { enum: ['image', 'volume'] },
      state: { enum: ['waiting', 'copying', 'complete', 'failed', 'removed'] },
      'volume?': { type: 'object', description: 'What Cinder is asked for, to make a volume of the image.' },
      'device?': { type: 'object', description: 'How Nova is told of the disk; of a volume its uuid is to be added.' },
      'problem?': text,
    }),
  ),
  'build?': { type: 'object', description: 'What Nova is asked for, without block devices.' },
  endpoints: { type: 'object', additionalProperties: text },
};

export const ANSWERS = {
  Problem: document(
    { status: { type: 'integer' }, code: text, detail: text, 'run?': text },
    'What went wrong (RFC 9457), with a public code.',
  ),
  Health: document({ status: { const: 'ok' } }),
  Api: document({ name: text, version: text, openapi: text, policySchema: text }),
  Document: { type: 'object' },
  Vault: document({ vault: NAME, store: text, id: text, access: { type: 'object' }, createdAt: time }),
  Vaults: document({ vaults: listOf(ref('Vault')), 'next?': next }),
  ForgottenVault: document({ vault: NAME, store: text, message: text }),
  Policy: {
    ...POLICY_SCHEMA,
    required: ['policy', 'updatedAt', ...POLICY_SCHEMA.required],
    properties: {
      ...POLICY_SCHEMA.properties,
      ...{ policy: NAME, updatedAt: time, nextRun: time, lastPoint: run },
      openRun: { ...text, description: 'The run under way, by the id that its caller gave.' },
      overdue: { ...time, description: 'When a run should have begun by the schedule, and none has since.' },
      trigger: {
        ...text,
        description: 'A cron pattern in UTC that fires whenever the schedule can be due, and at other times too.',
      },
    },
  },
  Policies: document({ policies: listOf(ref('Policy')), 'next?': next }),
  ForgottenPolicy: document({ policy: NAME, vault: NAME, message: text, points: text }),
  Members: document({
    policy: NAME,
    members: listOf(
      document({
        ...{ server: text, name: text, status: text, 'host?': text, 'problem?': text },
        disks: listOf(document({ name: text, size: bytes, 'volume?': text, 'volumeName?': text })),
      }),
    ),
    warnings: listOf(warning),
  }),
  Run: document({
    ...{ run, policy: NAME, vault: NAME, startedAt: time, bytesDone: bytes, bytesTotal: bytes },
    state: { enum: ['started', 'exporting', 'staged', 'committed', 'failed', 'abandoned'] },
    counts: { type: 'object', additionalProperties: { type: 'integer' } },
    members: listOf(document(member)),
    ...{
      'takenAt?': time,
      'windowMs?': milliseconds,
      'checkpointMs?': milliseconds,
      'endedAt?': time,
      'reason?': text,
    },
    'missing?': listOf(text),
    'warnings?': listOf(warning),
    'hooks?': listOf({ enum: ['before', 'after'] }),
    'copyTo?': NAME,
    'images?': { enum: ['ready', 'storing'] },
  }),
  Images: document({
    state: { enum: ['ready', 'storing'] },
    images: listOf(
      document({
        image: { ...text, description: 'Digest of its content.' },
        state: { enum: ['reading', 'storing', 'stored', 'failed'] },
        ...{ 'bytesDone?': bytes, 'bytesTotal?': bytes, 'problem?': text },
      }),
    ),
  }),
  StartedRun: {
    anyOf: [ref('Run'), document({ state: { const: 'not-due' }, policy: NAME, 'nextRun?': time })],
  },
  Known: document({
    packs: listOf({ type: 'string', pattern: '^[0-9a-f]{96}$' }),
    known: listOf({ type: 'integer', description: 'For each segment the place of its pack, from 1; 0: send it.' }),
  }),
  Ticket: document(
    {
      ...{ run, vault: text, epoch: { type: 'integer' }, stagingPublicKey: text },
      disks: listOf(
        document({
          ...{ index: { type: 'integer' }, name: text, token: text },
          points: listOf(document({ run, size: bytes, manifest: text })),
          'image?': document({ name: text, point: run, size: bytes, manifest: text }),
        }),
      ),
      upload: document({ url: text, query: text }),
      quiesce: { enum: ['require', 'prefer', 'never'] },
      'bandwidth?': bytes,
      'readAll?': { const: 'bitmap-distrusted' },
      'idKey?': text,
    },
    'Secret: for the exporter alone.',
  ),
  Accepted: document({ accepted: { type: 'integer' }, waiting: { type: 'integer' } }),
  PointSummary: document(point),
  Points: document({
    points: listOf(document({ ...point, 'problem?': text })),
    'next?': next,
  }),
  Point: document({
    ...point,
    members: listOf(
      document({
        name: text,
        size: bytes,
        changedBytes: bytes,
        storedBytes: bytes,
        consistency: text,
        consistencyNote: text,
        takenAt: time,
        frozenMs: milliseconds,
        'base?': run,
        'image?': text,
        'fullReason?': text,
      }),
    ),
    'before?': { ...run, description: 'The point before of the same group.' },
    'changes?': {
      ...listOf(document({ kind: text, name: text, change: { enum: ['added', 'removed', 'changed'] }, text })),
      description: 'What changed since the point before, at most 500; absent where that one cannot be read.',
    },
    'unprotected?': listOf(document({ server: text, name: text, 'volume?': text, why: text })),
  }),
  Restore: document({ ...restore, ...restoredDisks }),
  Restores: document({ restores: listOf(document({ ...restore, disks: { type: 'integer' } })), 'next?': next }),
  ServerPlan: document({
    ...{ vault: NAME, point: run, server: text, boot: text, build: { type: 'object' } },
    disks: listOf(document({ name: text, size: bytes, gib: { type: 'integer' } })),
    missing: { ...listOf(text), description: 'What the point does not tell, and has to be given.' },
  }),
  Topology: TOPOLOGY_SCHEMA,
  Exporter: document({ host: text, url: text, seenAt: time, stale: flag }),
  Exporters: document({ exporters: listOf(ref('Exporter')) }),
  Upkeep: document({
    ...{
      upkeep: UUID,
      state: { enum: ['running', 'done', 'failed'] },
      startedAt: time,
      'seenAt?': time,
      'endedAt?': time,
      'problem?': text,
    },
    'report?': { type: 'object' },
  }),
  Copy: document({
    ...{ copy: UUID, vault: NAME, to: NAME, 'group?': NAME, state: { enum: ['running', 'done', 'failed'] } },
    ...{ startedAt: time, 'seenAt?': time, 'endedAt?': time, 'problem?': text },
    ...{ copied: { type: 'integer' }, 'newest?': run, bytesRead: bytes },
    failed: listOf(document({ point: run, message: text })),
  }),
  PolicyDefinition: POLICY_SCHEMA,
} as const;

export type AnswerName = keyof typeof ANSWERS;
