import { MOST_MEMBERS, NOTICE_EVENTS } from './policy.ts';

const count = { type: 'integer', minimum: 1, maximum: 100_000 } as const;
const uuid = { type: 'string', pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' } as const;
const diskName = { type: 'string', minLength: 1, maxLength: 255, pattern: '^[^\\s\\p{Cc}]+$' } as const;
const timeZone = {
  type: 'string',
  minLength: 1,
  maxLength: 64,
  default: 'UTC',
  description: 'IANA name, such as Europe/Berlin.',
} as const;
const url = {
  type: 'string',
  maxLength: 2048,
  pattern: '^https?://[^\\s/?#]+[^\\s]*$',
  description: 'http: or https:. Redirections are not followed.',
} as const;
/** What a notice of one kind names, and of no other. */
const noticeOf = (kind: string, field: string) => {
  const rule = (is: object, then: object) => ({
    if: { type: 'object', required: ['kind'], properties: { kind: is } },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
    then: { type: 'object', ...then },
  });
  return [
    rule({ const: kind }, { required: [field] }),
    rule({ not: { const: kind } }, { properties: { [field]: false } }),
  ];
};
/** Names that tenants choose. */
export const NAME_PATTERN = '^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$';

/** JSON Schema 2020-12, published for editors. */
export const POLICY_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Ekko backup policy',
  type: 'object',
  required: ['vault', 'members'],
  additionalProperties: false,
  properties: {
    vault: { type: 'string', pattern: NAME_PATTERN, description: 'The vault that takes the restore points.' },
    members: {
      type: 'object',
      description: 'Servers that are protected together: all that any of these names.',
      minProperties: 1,
      additionalProperties: false,
      properties: {
        stack: {
          type: 'string',
          minLength: 1,
          maxLength: 255,
          pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]*$',
          description:
            'Name or id of a Heat stack: its servers, and those of its nested stacks, as they are when a run starts.',
        },
        servers: {
          type: 'array',
          items: uuid,
          minItems: 1,
          maxItems: MOST_MEMBERS,
          uniqueItems: true,
          description: 'Ids of servers.',
        },
        tags: {
          type: 'array',
          items: { type: 'string', minLength: 1, maxLength: 60, pattern: '^[^,/\\p{Cc}]+$' },
          minItems: 1,
          maxItems: 10,
          uniqueItems: true,
          description: 'Servers of the project that have any of these tags.',
        },
      },
    },
    disks: {
      type: 'object',
      description:
        'Which disks of the members. Names are volume ids, `root`, or devices such as `vdb`; `<server>/<name>` for one server only.',
      additionalProperties: false,
      properties: {
        include: {
          type: 'array',
          items: diskName,
          minItems: 1,
          maxItems: 500,
          uniqueItems: true,
          description: 'Only these.',
        },
        exclude: {
          type: 'array',
          items: diskName,
          minItems: 1,
          maxItems: 500,
          uniqueItems: true,
          description: 'All but these.',
        },
      },
    },
    schedule: {
      type: 'object',
      required: ['cron'],
      additionalProperties: false,
      properties: {
        cron: {
          type: 'string',
          maxLength: 200,
          description: 'Five fields: minute, hour, day of month, month, day of week.',
        },
        timeZone,
      },
    },
    retention: {
      type: 'object',
      description: 'Which restore points are kept: a point that any rule keeps is kept.',
      additionalProperties: false,
      anyOf: ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly', 'within'].map((rule) => ({ required: [rule] })),
      properties: {
        ...{ last: count, hourly: count, daily: count, weekly: count, monthly: count, yearly: count },
        within: {
          type: 'string',
          pattern: '^[1-9][0-9]{0,4}[hdw]$',
          description: 'All points of this span before the newest one: 48h, 14d, 2w.',
        },
        timeZone,
      },
    },
    quiesce: {
      enum: ['require', 'prefer', 'never'],
      default: 'prefer',
      description: 'Whether file systems are made still through the guest agent.',
    },
    bandwidth: {
      type: 'integer',
      minimum: 65_536,
      maximum: 1e12,
      description: 'Bytes of disk a second that one exporter reads at most.',
    },
    sourceDedupe: {
      type: 'boolean',
      default: false,
      description:
        'Exporters ask which segments the vault has before they send them. Hypervisors can then tell whether it has what they have.',
    },
    hooks: {
      type: 'array',
      maxItems: 20,
      description: 'Programs that are asked by POST, without a token, in this order, each once: by the workflow.',
      items: {
        type: 'object',
        required: ['when', 'url'],
        additionalProperties: false,
        properties: {
          when: {
            enum: ['before', 'after', 'failed'],
            description: 'Before the moment; right after it, also when it or a hook failed; when the run has failed.',
          },
          url,
          onError: {
            enum: ['fail', 'continue'],
            description:
              'Without an answer of 200 to 299 the run is given up (`fail`), or goes on. Before the moment `fail` is meant where nothing is said, else `continue`.',
          },
          timeout: { type: 'integer', minimum: 1, maximum: 900, default: 60, description: 'Seconds.' },
          body: {
            type: 'object',
            maxProperties: 100,
            description: 'What is sent, instead of `policy`, `run`, `when` and `detail`.',
          },
        },
      },
    },
    copyTo: {
      type: 'object',
      required: ['vault'],
      additionalProperties: false,
      description: 'Another vault of the project, which gets a copy of each restore point.',
      properties: { vault: { type: 'string', pattern: NAME_PATTERN } },
    },
    notify: {
      type: 'array',
      maxItems: 20,
      description: 'Who is told what became of a backup: by the workflow.',
      items: {
        type: 'object',
        required: ['kind'],
        additionalProperties: false,
        properties: {
          kind: { enum: ['webhook', 'queue', 'mail'] },
          url,
          queue: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,64}$', description: 'Of Zaqar.' },
          to: {
            type: 'array',
            items: { type: 'string', maxLength: 254, pattern: '^[^\\s@,;<>"]+@[^\\s@,;<>"]+$' },
            minItems: 1,
            maxItems: 20,
            uniqueItems: true,
            description: 'Addresses.',
          },
          events: {
            type: 'array',
            items: { enum: NOTICE_EVENTS },
            minItems: 1,
            uniqueItems: true,
            description: 'All but success where nothing is said.',
          },
        },
        allOf: [...noticeOf('webhook', 'url'), ...noticeOf('queue', 'queue'), ...noticeOf('mail', 'to')],
      },
    },
  },
} as const;
