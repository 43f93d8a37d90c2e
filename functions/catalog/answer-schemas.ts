import { POLICY_SCHEMA } from './policies/policy-schema.ts';
import { NAME, UUID } from './schemas.ts';

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

/** Required: all but those whose names end in `?`. */
function document(fields: Record<string, object>, description?: string) {
  const entries = Object.entries(fields);
  return {
    type: 'object',
    ...(description === undefined ? {} : { description }),
    required: entries.flatMap(([name]) => (name.endsWith('?') ? [] : [name])),
    properties: Object.fromEntries(entries.map(([name, schema]) => [name.replace(/\?$/, ''), schema])),
    additionalProperties: false,
  } as const;
}

const point = {
  ...{ point: run, group: text, takenAt: time, disks: { type: 'integer' }, size: bytes },
  ...{ changedBytes: bytes, newBytes: bytes, storedBytes: bytes },
  consistency: { enum: ['application', 'file-system', 'crash'] },
  partial: flag,
  missing: listOf(text),
};
const member = {
  ...{ server: text, name: text, 'host?': text, 'bytesDone?': bytes, 'bytesTotal?': bytes, 'problem?': text },
  state: { enum: ['waiting', 'prepared', 'held', 'exporting', 'staged', 'failed', 'ended'] },
};
const warning = document({
  code: { enum: ['no-exporter', 'server-missing', 'unprotected-server', 'unprotected-volume'] },
  ...{ server: text, message: text },
});

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
  }),
  Exporter: document({ host: text, url: text, seenAt: time, stale: flag }),
  Exporters: document({ exporters: listOf(ref('Exporter')) }),
  Upkeep: document({
    ...{
      upkeep: UUID,
      state: { enum: ['running', 'done', 'failed'] },
      startedAt: time,
      'endedAt?': time,
      'problem?': text,
    },
    'report?': { type: 'object' },
  }),
  PolicyDefinition: POLICY_SCHEMA,
} as const;

export type AnswerName = keyof typeof ANSWERS;
