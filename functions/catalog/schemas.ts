import { SEGMENTS_PER_PART } from '#vault/words.ts';
import { NAME_PATTERN } from './policies/policy-schema.ts';
import { HYPERVISOR_PROPERTY } from './restores/plan-disk.ts';

/** Bodies that callers send, as JSON Schema 2020-12: what the service checks by, and what the OpenAPI document shows. */
const text = { type: 'string', minLength: 1, maxLength: 1024 } as const;
export const UUID = { type: 'string', pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' } as const;
export const NAME = { type: 'string', pattern: NAME_PATTERN } as const;

function closed(properties: Record<string, object>, required: readonly string[] = []) {
  return { type: 'object', properties, required, additionalProperties: false } as const;
}

export const VAULT_WISH = closed(
  {
    store: {
      type: 'string',
      maxLength: 512,
      // A container of the caller's own account, never a host.
      pattern: '^swift:[A-Za-z0-9][A-Za-z0-9._-]{0,254}(/[a-z0-9][a-z0-9._-]*)*$',
      description: 'swift:CONTAINER[/PREFIX], in the account of the project.',
    },
    recipients: {
      ...{ type: 'array', maxItems: 16, default: [] },
      items: { type: 'string', pattern: '^ekko-recipient-1:[A-Za-z0-9_-]{43}$' },
      description: 'Public keys that can open the vault too.',
    },
    escrow: { const: 'waived', description: 'Said aloud: the vault needs no second recipient.' },
  },
  ['store'],
);

export const RUN_WISH = closed(
  {
    policy: NAME,
    id: { ...UUID, description: 'The caller’s own: the same one again is the same run.' },
    reason: { ...text, maxLength: 300 },
  },
  ['policy'],
);

export const COMMIT_WISH = closed({
  partial: { type: 'boolean', default: false, description: 'Without the members that failed.' },
});

export const NOTICES = closed(
  { keys: { type: 'array', minItems: 1, maxItems: 1000, items: { type: 'string', maxLength: 512 } } },
  ['keys'],
);

export const KNOWN_QUESTION = closed(
  {
    disk: { type: 'integer', minimum: 0, maximum: 1_000_000, description: 'The disk’s number in the run.' },
    lineage: {
      type: 'string',
      pattern: '^[0-9a-f]{64}$',
      description: 'The manifest that the segments probably resemble.',
    },
    runs: {
      ...{ type: 'array', minItems: 1, maxItems: SEGMENTS_PER_PART },
      items: { type: 'array', minItems: 2, maxItems: 2, items: { type: 'integer', minimum: 0, maximum: 0xffff_ffff } },
      description: 'Segments, ascending: first, count.',
    },
    ids: {
      ...{ type: 'string', minLength: 44, maxLength: 44_000, pattern: '^[A-Za-z0-9+/]*={0,2}$' },
      description: 'Their ids, 32 bytes each, one behind the other, in base64.',
    },
    packs: {
      ...{ type: 'array', maxItems: 16, default: [], items: { type: 'string', pattern: '^[0-9a-f]{96}$' } },
      description: 'Packs that had what lay before.',
    },
  },
  ['disk', 'runs', 'ids'],
);

export const EXPORTER_WISH = closed({ url: { type: 'string', maxLength: 512 } }, ['url']);

export const COPY_WISH = closed(
  {
    to: { ...NAME, description: 'The vault of the project that gets the copies.' },
    group: { ...NAME, description: 'Only the restore points of this policy.' },
  },
  ['to'],
);

const word = { type: 'string', minLength: 1, maxLength: 255 } as const;
const NETWORKS = {
  description: 'As Nova takes them. Default: the networks that the server had.',
  anyOf: [
    { enum: ['auto', 'none'] },
    {
      ...{ type: 'array', minItems: 1, maxItems: 64 },
      items: closed({ uuid: word, port: word, fixed_ip: word }),
    },
  ],
} as const;

const BUILD_WISH = {
  ...closed({
    root: {
      ...{ enum: ['volume', 'image'], default: 'volume' },
      description: 'What the disk becomes that the server boots from.',
    },
    name: word,
    flavor: { ...word, description: 'Id. Default: the flavor that the server had.' },
    networks: NETWORKS,
    addresses: {
      ...{ enum: ['new', 'same'], default: 'new' },
      description: 'same: those that the server had, which must be gone.',
    },
    keyName: { ...word, minLength: 0, description: 'Default: the key pair that it had; empty: none.' },
    availabilityZone: word,
    securityGroups: { type: 'array', maxItems: 64, items: word },
  }),
  description: 'The disks are to become a server again.',
} as const;

export const RESTORE_WISH = closed(
  {
    id: { ...UUID, description: 'The caller’s own: the same one again is the same restore.' },
    vault: NAME,
    point: { ...word, description: 'Id of a point, or latest.' },
    group: { ...NAME, description: 'Of latest: the policy whose newest point is meant.' },
    server: { ...word, description: 'All disks of this server.' },
    disks: { type: 'array', minItems: 1, maxItems: 64, items: { ...word, maxLength: 512 } },
    target: { const: 'image', default: 'image' },
    properties: {
      ...{ type: 'object', default: {}, maxProperties: 64, additionalProperties: { type: 'string', maxLength: 255 } },
      propertyNames: { pattern: HYPERVISOR_PROPERTY.source },
      description:
        'Properties of the image that a server boots from: hw_…, os_…, img_…, kernel_id, ramdisk_id, architecture, hypervisor_type, vm_mode.',
    },
    build: BUILD_WISH,
  },
  ['vault', 'point'],
);

export const UPKEEP_WISH = closed({
  copy: { type: 'boolean', default: false, description: 'Copy what policies of the vault want copied.' },
  retention: { type: 'boolean', default: false, description: 'Apply the retention rules of the vault’s policies.' },
  sweep: { type: 'boolean', default: false, description: 'Remove what no restore point needs.' },
  verify: { type: 'number', minimum: 0, maximum: 100, default: 0, description: 'Percent of the vault to verify.' },
  dryRun: { type: 'boolean', default: false },
});
