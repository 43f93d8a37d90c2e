import type { JSONSchemaType } from 'ajv';
import { EkkoError } from '#vault/errors.ts';
import { ajv } from './ajv.ts';

/** What a function is told by its environment. */
export interface FunctionSettings {
  /** Path or URL of the vault. */
  readonly EKKO_VAULT: string;
  /** Path of the key file; left out where the function host has the key in memory. The key itself never stands in an environment. */
  readonly EKKO_KEY_FILE?: string;
  /** Path of the journal file, for a vault whose journal is kept in a SQL database. */
  readonly EKKO_JOURNAL_FILE?: string;
  /** zstd level, 1-3. */
  readonly EKKO_COMPRESSION_LEVEL: number;
  /** Open each new pack down to its last segment before it is stored: costs two fifths more CPU. */
  readonly EKKO_CHECK_PACKS: boolean;
  /** Staged parts that one process works on at once: one computes while the other waits for the store. */
  readonly EKKO_PARTS_AT_ONCE: number;
}

const SCHEMA: JSONSchemaType<FunctionSettings> = {
  type: 'object',
  properties: {
    EKKO_VAULT: { type: 'string', minLength: 1, maxLength: 4096 },
    EKKO_KEY_FILE: { type: 'string', minLength: 1, maxLength: 4096, nullable: true },
    EKKO_JOURNAL_FILE: { type: 'string', minLength: 1, maxLength: 4096, nullable: true },
    EKKO_COMPRESSION_LEVEL: { type: 'integer', minimum: 1, maximum: 3, default: 1 },
    EKKO_CHECK_PACKS: { type: 'boolean', default: false },
    EKKO_PARTS_AT_ONCE: { type: 'integer', minimum: 1, maximum: 16, default: 2 },
  },
  required: ['EKKO_VAULT'],
  additionalProperties: false,
};

/** The vault's place alone, for functions that need no key. Throws `bad-input`. */
export function readVaultPlace({ EKKO_VAULT }: NodeJS.ProcessEnv): string {
  if (EKKO_VAULT) return EKKO_VAULT;
  throw new EkkoError('bad-input', 'EKKO_VAULT is not set: it names the vault, by path or URL.');
}

const validate = ajv.compile(SCHEMA);

/** Reads every `EKKO_…` variable; a missing, impossible or misspelt one throws `bad-input` naming it. */
export function readSettings(environment: NodeJS.ProcessEnv): FunctionSettings {
  const found: unknown = Object.fromEntries(Object.entries(environment).filter(([name]) => name.startsWith('EKKO_')));
  if (validate(found)) return found;
  const problems = validate.errors?.map(
    (e) => `${e.instancePath.slice(1) || 'settings'} ${e.message} ${JSON.stringify(e.params)}`,
  );
  throw new EkkoError('bad-input', `The function's settings cannot be used: ${problems?.join('; ')}.`);
}
