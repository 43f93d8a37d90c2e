import { open } from 'node:fs/promises';
import { hostname } from 'node:os';
import { Ajv, type JSONSchemaType } from 'ajv';
import { parse } from 'yaml';
import { EkkoError } from '#vault/errors.ts';

/** What an exporter is told by its settings file. Sizes in bytes. */
export interface ExporterSettings {
  /** Where it listens. */
  readonly address: string;
  readonly port: number;
  /** Paths of the certificate and its key, in PEM. May only be left out on loopback. */
  readonly certificate?: string;
  readonly certificate_key?: string;
  /** What Nova calls this host. */
  readonly host: string;
  /** Where others reach this exporter: `https://compute-1.example.org:8902`. */
  readonly url: string;
  /** Where the catalog is. Nobody can name another one. */
  readonly catalog: string;
  /** Ekko's service user, with the role `service`. */
  readonly keystone: {
    readonly auth_url: string;
    readonly username: string;
    readonly password: string;
    readonly project_name: string;
    readonly user_domain_name: string;
    readonly project_domain_name: string;
  };
  /** Certificate authorities to trust beside the system's, in PEM. */
  readonly authorities?: string;
  /** Roles of which a caller needs one in the server's project. */
  readonly roles: readonly string[];
  readonly libvirt: string;
  readonly scratch_directory: string;
  readonly scratch_low_water: number;
  readonly state_directory: string;
  /** Of disk, a second, over all exports; 0: as fast as it goes. */
  readonly bandwidth: number;
  /** Servers that are exported at the same time; others wait. */
  readonly exports_at_once: number;
  readonly freeze_seconds: number;
  /** From the end of the freeze: then the guest is thawed whatever happens. */
  readonly watchdog_seconds: number;
  /** How long a moment whose export failed is held for another try. */
  readonly hold_seconds: number;
  /** Share of clean segments to audit, 0-1. */
  readonly audit_share: number;
}

const TEXT = { type: 'string', minLength: 1, maxLength: 4096 } as const;
const ADDRESS = { type: 'string', pattern: '^https?://[^/\\s?#@]+(?:/[^\\s?#]*)?$', maxLength: 4096 } as const;
const FOLDER = { type: 'string', pattern: '^/', maxLength: 4096 } as const;
const seconds = (fallback: number) => ({ type: 'integer', minimum: 1, maximum: 86_400, default: fallback }) as const;

const SCHEMA: JSONSchemaType<ExporterSettings> = {
  type: 'object',
  properties: {
    address: { ...TEXT, default: '0.0.0.0' },
    port: { type: 'integer', minimum: 1, maximum: 65_535, default: 8902 },
    certificate: { ...FOLDER, nullable: true },
    certificate_key: { ...FOLDER, nullable: true },
    host: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,255}$' },
    url: ADDRESS,
    catalog: ADDRESS,
    keystone: {
      type: 'object',
      properties: {
        auth_url: ADDRESS,
        username: TEXT,
        password: TEXT,
        project_name: { ...TEXT, default: 'service' },
        user_domain_name: { ...TEXT, default: 'Default' },
        project_domain_name: { ...TEXT, default: 'Default' },
      },
      required: ['auth_url', 'username', 'password'],
      additionalProperties: false,
    },
    authorities: { ...FOLDER, nullable: true },
    roles: { type: 'array', items: TEXT, minItems: 1, maxItems: 20, default: ['member', 'admin'] },
    libvirt: { ...TEXT, default: 'qemu:///system' },
    scratch_directory: { ...FOLDER, default: '/var/lib/ekko-exporter/scratch' },
    scratch_low_water: { type: 'integer', minimum: 0, maximum: 2 ** 50, default: 4 * 1024 ** 3 },
    state_directory: { ...FOLDER, default: '/var/lib/ekko-exporter/state' },
    bandwidth: { type: 'integer', minimum: 0, maximum: 2 ** 40, default: 0 },
    exports_at_once: { type: 'integer', minimum: 1, maximum: 16, default: 2 },
    // The catalog waits for 8 s.
    freeze_seconds: seconds(7),
    watchdog_seconds: seconds(10),
    hold_seconds: seconds(900),
    audit_share: { type: 'number', minimum: 0, maximum: 1, default: 0.001 },
  },
  required: ['url', 'catalog', 'keystone', 'host'],
  additionalProperties: false,
};

const ajv = new Ajv({ allErrors: true, useDefaults: true, strict: true });
const validate = ajv.compile(SCHEMA);
const LARGEST = 64 * 1024;

/**
 * Reads the settings file (YAML). Throws `bad-input` naming what is missing, impossible or misspelt, and when others than its owner may
 * read the file, for the service password is in it.
 */
export async function readExporterSettings(path: string): Promise<ExporterSettings> {
  const given = parseYaml(await readPrivate(path), path);
  const isObject = typeof given === 'object' && given !== null && !Array.isArray(given);
  const settings: unknown = isObject ? { host: hostname(), ...given } : given;
  if (!validate(settings)) {
    const problems = validate.errors?.map(
      (e) => `${e.instancePath || 'settings'} ${e.message} ${JSON.stringify(e.params)}`,
    );
    throw new EkkoError('bad-input', `${path} cannot be used: ${problems?.join('; ')}.`);
  }
  checkTransport(settings, path);
  return settings;
}

async function readPrivate(path: string): Promise<string> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw new EkkoError('bad-input', `Settings file ${path} cannot be read: ${String(cause)}`, { cause });
  });
  try {
    const { mode, size } = await file.stat();
    if ((mode & 0o077) !== 0) {
      throw new EkkoError('bad-input', `${path} holds a password, and others may read it: chmod 0600 ${path}`);
    }
    if (size > LARGEST) throw new EkkoError('bad-input', `${path} has ${size} bytes: it is no settings file`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

/** The parser's own words may quote the password. */
function parseYaml(text: string, path: string): unknown {
  try {
    return parse(text);
  } catch {
    throw new EkkoError('bad-input', `${path} is not YAML`);
  }
}

export function isLoopback(address: string): boolean {
  return /^(?:127(?:\.\d{1,3}){3}|::1|localhost)$/.test(address);
}

function checkTransport(
  { certificate, certificate_key, address, url, catalog, keystone }: ExporterSettings,
  path: string,
) {
  if ((certificate === undefined) !== (certificate_key === undefined)) {
    throw new EkkoError('bad-input', `${path}: certificate and certificate_key come together`);
  }
  if (certificate === undefined && !isLoopback(address)) {
    throw new EkkoError(
      'bad-input',
      `${path}: tokens come over this line: a certificate is needed, or a loopback address`,
    );
  }
  for (const [name, value] of Object.entries({ url, catalog, 'keystone.auth_url': keystone.auth_url })) {
    const { protocol, hostname: there } = new URL(value);
    if (protocol === 'https:' || isLoopback(there.replace(/^\[(.*)\]$/, '$1'))) continue;
    throw new EkkoError('bad-input', `${path}: ${name} sends tokens over http: only https is taken, but on loopback`);
  }
}
