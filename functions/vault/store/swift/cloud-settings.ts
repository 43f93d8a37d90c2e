import { EkkoError } from '../../errors.ts';
import { readCloud } from './clouds-file.ts';
import { environmentFields, type Fields } from './fields.ts';
import { type Interface, readInterface } from './swift-url.ts';

/** A thing of Keystone, named as its API wants it. */
export type Named = { readonly id: string } | { readonly name: string; readonly domain: Domain };
export type Domain = { readonly id: string } | { readonly name: string };

export interface PasswordCredential {
  readonly kind: 'password';
  /** Ends in `/v3`. */
  readonly authUrl: string;
  readonly user: Named;
  readonly password: string;
  readonly project: Named;
}

export interface ApplicationCredential {
  readonly kind: 'application-credential';
  readonly authUrl: string;
  /** As the API wants it, all but the secret. */
  readonly credential: { readonly id: string } | { readonly name: string; readonly user: Named };
  readonly secret: string;
}

/** A token that somebody else got, for a storage URL. It cannot be renewed. */
export interface ReadyToken {
  readonly kind: 'token';
  readonly token: string;
  readonly storageUrl: string;
}

/** How to get at a cloud's object storage. Holds secrets. */
export interface CloudSettings {
  readonly credential: PasswordCredential | ApplicationCredential | ReadyToken;
  readonly region: string | undefined;
  readonly interface: Interface | undefined;
  /** Used instead of the catalogue's. */
  readonly storageUrl: string | undefined;
  /** PEM file of certificate authorities to trust beside the usual ones. */
  readonly caFile: string | undefined;
}

/** Reads OS_* variables, or the cloud that OS_CLOUD names. Throws `bad-input` with what is missing. */
export function readCloudSettings(environment: NodeJS.ProcessEnv): CloudSettings {
  const variables = environmentFields(environment);
  const cloud = variables.get('cloud');
  const fields = cloud === undefined ? variables : readCloud(cloud, environment);
  const either = (...names: string[]) => first(fields, names) ?? first(variables, names);
  const kind = either('interface', 'endpoint_type');
  if (fields.get('verify') === 'false' || isTrue(fields.get('insecure'))) {
    throw new EkkoError(
      'bad-input',
      'Certificates are always checked: name your authority by OS_CACERT, or cacert in clouds.yaml.',
    );
  }
  const storageUrl = fields.get('storage_url');
  return {
    credential: readCredential(fields),
    region: either('region_name'),
    interface: kind === undefined ? undefined : readInterface(kind, fields.describe('interface')),
    storageUrl: storageUrl === undefined ? undefined : readUrl(storageUrl, fields.describe('storage_url')),
    caFile: either('cacert'),
  };
}

function readCredential(fields: Fields): CloudSettings['credential'] {
  const token = first(fields, ['token', 'auth_token']);
  const type = fields.get('auth_type') ?? guessType(fields, token);
  if (type === 'password' || type === 'v3password') return readPassword(fields);
  if (type === 'v3applicationcredential') return readApplicationCredential(fields);
  if (type === 'token' || type === 'v3token') return readReadyToken(fields, token);
  const known = 'password, v3password, v3applicationcredential and token are known';
  throw new EkkoError(
    'bad-input',
    `${fields.describe('auth_type')} is ${JSON.stringify(type.slice(0, 40))}: ${known}.`,
  );
}

function guessType(fields: Fields, token: string | undefined): string {
  if (first(fields, ['application_credential_id', 'application_credential_name'])) return 'v3applicationcredential';
  return token !== undefined && fields.get('storage_url') !== undefined ? 'token' : 'password';
}

function readPassword(fields: Fields): PasswordCredential {
  const project = readNamed(fields, 'project', ['project_id', 'tenant_id'], ['project_name', 'tenant_name']);
  return {
    kind: 'password',
    authUrl: readAuthUrl(fields),
    user: readUser(fields),
    password: need(fields, 'password'),
    project,
  };
}

function readApplicationCredential(fields: Fields): ApplicationCredential {
  const id = fields.get('application_credential_id');
  const credential = id ? { id } : { name: need(fields, 'application_credential_name'), user: readUser(fields) };
  const secret = need(fields, 'application_credential_secret');
  return { kind: 'application-credential', authUrl: readAuthUrl(fields), credential, secret };
}

function readReadyToken(fields: Fields, token: string | undefined): ReadyToken {
  const storageUrl = readUrl(need(fields, 'storage_url'), fields.describe('storage_url'));
  return { kind: 'token', token: token ?? need(fields, 'token'), storageUrl };
}

const readUser = (fields: Fields) => readNamed(fields, 'user', ['user_id'], ['username', 'user_name']);

function readNamed(fields: Fields, kind: string, ids: readonly string[], names: readonly string[]): Named {
  const id = first(fields, ids);
  if (id !== undefined) return { id };
  const name = first(fields, names) ?? need(fields, names[0] ?? '');
  const domainId = first(fields, [`${kind}_domain_id`, 'default_domain_id', 'default_domain']);
  const domainName = first(fields, [`${kind}_domain_name`, 'default_domain_name']);
  // The name goes first where only it is about this kind of thing; `default` is the id that every installation begins with.
  const ownName = fields.get(`${kind}_domain_name`);
  if (fields.get(`${kind}_domain_id`) === undefined && ownName) return { name, domain: { name: ownName } };
  if (domainId !== undefined) return { name, domain: { id: domainId } };
  return { name, domain: domainName === undefined ? { id: 'default' } : { name: domainName } };
}

function readAuthUrl(fields: Fields): string {
  const from = fields.describe('auth_url');
  const url = readUrl(need(fields, 'auth_url'), from);
  if (/\/v2\.0$/.test(url)) throw new EkkoError('bad-input', `${from} ends in /v2.0: Keystone's API v3 is needed.`);
  return url.endsWith('/v3') ? url : `${url}/v3`;
}

/** Without the last slash. The value is not shown: it may hold what must not be seen. */
function readUrl(text: string, from: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (!isHttp || url.search !== '' || url.hash !== '')
    throw new EkkoError('bad-input', `${from} is no http: or https: URL.`);
  if (url.username === '' && url.password === '') return url.href.replace(/\/+$/, '');
  throw new EkkoError('bad-input', `${from} holds credentials, which do not belong into a URL.`);
}

function need(fields: Fields, name: string): string {
  const value = fields.get(name);
  if (value !== undefined) return value;
  const hint = 'OS_* variables, or OS_CLOUD and clouds.yaml, say how to get at Swift';
  throw new EkkoError('bad-input', `${fields.describe(name)} is not set: ${hint} (docs/operations.md).`);
}

function first(fields: Fields, names: readonly string[]): string | undefined {
  return names.map((name) => fields.get(name)).find((value) => value !== undefined);
}

function isTrue(value: string | undefined): boolean {
  return value !== undefined && /^(1|true|yes)$/i.test(value);
}
