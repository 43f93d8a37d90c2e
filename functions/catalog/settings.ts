import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { parse } from 'yaml';
import { EkkoError } from '#vault/errors.ts';
import { checker } from '../rim/strict-ajv.ts';

/** `/etc/ekko/serve.yaml`, as an operator writes it (`docs/operations.md`). */
export interface CatalogSettings {
  readonly listen: { readonly host: string; readonly port: number };
  /** PEM files; without them the service speaks HTTP, for loopback or behind a proxy that ends TLS. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** How workflows and exporters reach this API: `https://ekko.example.org:8443`. */
  readonly public_url: string;
  /** URL of the store that holds the registry, or `sql`: the database of `journal_file`. EKKO_REGISTRY where it is not said here, else `sql`. */
  readonly registry?: string;
  readonly keystone: KeystoneAccess;
  readonly endpoints: CloudEndpoints;
  /** PEM file of the authorities that sign the certificates of the cloud's services and of exporters, beside those the system trusts. */
  readonly authorities?: string;
  /** Where the journals of vaults are: path of a journal file, for Swift cannot keep one. */
  readonly journal_file: string;
  readonly limits: Limits;
  /** Threads that process staged parts, for each vault that is at work; and disks that are restored to images at a time. */
  readonly workers: number;
}

export interface KeystoneAccess {
  /** `https://keystone.example.org:5000/v3` */
  readonly url: string;
  readonly user: string;
  readonly password: string;
  readonly project: string;
  readonly user_domain: string;
  readonly project_domain: string;
}

/** Base URLs, for the tokens of trusts come without a catalogue. `%(project_id)s` stands for the caller's project. */
export interface CloudEndpoints {
  readonly nova: string;
  readonly cinder?: string;
  readonly heat?: string;
  /** Without a version: `https://neutron.example.org:9696`. */
  readonly neutron?: string;
  /** Without a version: `https://glance.example.org:9292`. */
  readonly glance?: string;
  readonly swift: string;
  readonly barbican: string;
}

export interface Limits {
  /** Of one project. */
  readonly requests_per_minute: number;
  /** Of one address whose tokens are refused. */
  readonly refusals_per_minute: number;
}

const text = { type: 'string', minLength: 1, maxLength: 1024 } as const;
const url = { type: 'string', pattern: '^https?://[^\\s?#@]+$', maxLength: 1024 } as const;
const count = (value: number) => ({ type: 'integer', minimum: 1, maximum: 1_000_000, default: value }) as const;
const record = (properties: Record<string, object>, required: readonly string[]) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
});

const SCHEMA = record(
  {
    listen: {
      ...record({ host: text, port: { type: 'integer', minimum: 0, maximum: 65_535 } }, ['host', 'port']),
      default: { host: '127.0.0.1', port: 8443 },
    },
    tls: record({ certificate: text, key: text }, ['certificate', 'key']),
    public_url: url,
    registry: text,
    keystone: record(
      {
        ...{ url, user: text, password: text, project: text },
        user_domain: { ...text, default: 'Default' },
        project_domain: { ...text, default: 'Default' },
      },
      ['url', 'user', 'password', 'project'],
    ),
    endpoints: record({ nova: url, cinder: url, heat: url, neutron: url, glance: url, swift: url, barbican: url }, [
      ...['nova', 'swift', 'barbican'],
    ]),
    authorities: text,
    journal_file: text,
    limits: {
      ...record({ requests_per_minute: count(1200), refusals_per_minute: count(60) }, []),
      default: {},
    },
    workers: { type: 'integer', minimum: 1, maximum: 64, default: 2 },
  },
  ['public_url', 'keystone', 'endpoints', 'journal_file'],
);

const check = checker<CatalogSettings>(SCHEMA, 'The settings file');
const LARGEST = 65_536;
/** Any right of the group or of others. */
const OTHERS = 0o077;

/**
 * The settings in a YAML file that only its owner may read, for it holds a password. Throws `bad-input` naming the file and what is
 * wrong with it; no message holds a value out of it.
 */
export async function readCatalogSettings(path: string): Promise<CatalogSettings> {
  const bytes = await readPrivate(path);
  let document: unknown;
  try {
    document = parse(bytes.toString('utf8'), { maxAliasCount: 0 });
  } catch {
    // The parser quotes the line, which may be the one with the password.
    throw new EkkoError('bad-input', `Settings file ${path} is not YAML.`);
  }
  return checkTransport(check(document), path);
}

/** Tokens come over this line. */
function checkTransport(settings: CatalogSettings, path: string): CatalogSettings {
  const { listen, tls } = settings;
  if (tls !== undefined || LOOPBACK.has(listen.host)) return settings;
  const advice = 'Name a certificate by tls, or listen on 127.0.0.1 behind a proxy that has one';
  throw new EkkoError('bad-input', `${path}: tokens would come to ${listen.host} in the clear. ${advice}.`);
}

const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', '::1', 'localhost']);

async function readPrivate(path: string): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: unknown) => {
    throw new EkkoError('bad-input', `Settings file ${path} cannot be read. Name it by --settings or EKKO_SETTINGS.`, {
      cause,
    });
  });
  try {
    const found = await file.stat();
    if (!found.isFile() || found.size > LARGEST) {
      throw new EkkoError('bad-input', `Settings file ${path} is no file of at most ${LARGEST} bytes.`);
    }
    if ((found.mode & OTHERS) !== 0) {
      throw new EkkoError(
        'bad-input',
        `Settings file ${path} can be read or changed by others. Run: chmod 600 ${path}`,
      );
    }
    return await file.readFile();
  } finally {
    await file.close();
  }
}
