import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort, startDaemon, untilItAnswers, useService } from './service.ts';

/** Somebody who may do things in one project; all domains are `default`. */
export interface KeystoneUser {
  readonly user: string;
  readonly password: string;
  readonly project: string;
  readonly projectId: string;
}

/** A Keystone, its administrator, and a member of a project. */
export interface KeystoneSettings {
  /** `http://127.0.0.1:<port>/v3` */
  readonly authUrl: string;
  readonly region: string;
  readonly admin: KeystoneUser;
  readonly member: KeystoneUser;
  /** The member's. */
  readonly applicationCredential: ApplicationCredential;
}

export interface ApplicationCredential {
  readonly id: string;
  readonly name: string;
  readonly secret: string;
}

/** A token and where it came from. */
export interface KeystoneSession {
  readonly token: string;
  readonly userId: string;
  readonly projectId: string;
}

export const REGION = 'RegionOne';
const DATABASE = 'keystone.sqlite';
const run = promisify(execFile);
const newPassword = () => randomBytes(16).toString('hex');

/** An OpenStack Identity service shared by the tests of a run. */
export function useKeystone(): Promise<KeystoneSettings> {
  return useService('keystone', startKeystone);
}

async function startKeystone(folder: string): Promise<KeystoneSettings> {
  const port = await freePort();
  const authUrl = `http://127.0.0.1:${port}/v3`;
  const password = newPassword();
  const configuration = await configure(folder);
  const manage = (...command: string[]) => run('keystone-manage', ['--config-file', configuration, ...command]);
  await manage('db_sync');
  // Otherwise whoever reads can keep others from writing, until they give up.
  await run('sqlite3', [join(folder, DATABASE), 'PRAGMA journal_mode = WAL']);
  const urls = ['public', 'internal', 'admin'].flatMap((each) => [`--bootstrap-${each}-url`, authUrl]);
  await manage('bootstrap', '--bootstrap-password', password, '--bootstrap-region-id', REGION, ...urls);
  await startDaemon(folder, 'keystone', serverOf(port), {
    env: { ...process.env, OS_KEYSTONE_CONFIG_FILES: configuration },
  });
  await untilItAnswers(() => expectStatus(authUrl, 200));
  return addPeople(authUrl, password);
}

async function configure(folder: string): Promise<string> {
  const keys = { tokens: join(folder, 'tokens'), credentials: join(folder, 'credentials') };
  await Promise.all(Object.values(keys).map(makeKeys));
  const configuration = join(folder, 'keystone.conf');
  const text = `[database]
connection = sqlite:///${folder}/${DATABASE}
[fernet_tokens]
key_repository = ${keys.tokens}
[fernet_receipts]
key_repository = ${keys.tokens}
[credential]
key_repository = ${keys.credentials}
[identity]
password_hash_rounds = 4
# A fifth of the work: every service asks about every token.
[cache]
enabled = true
backend = dogpile.cache.memory
`;
  await writeFile(configuration, text);
  return configuration;
}

/** What `keystone-manage fernet_setup` makes, without two seconds of starting Python. */
async function makeKeys(folder: string): Promise<void> {
  await mkdir(folder, { mode: 0o700 });
  for (const name of ['0', '1']) {
    const key = randomBytes(32).toString('base64').replaceAll('+', '-').replaceAll('/', '_');
    await writeFile(join(folder, name), key, { mode: 0o600 });
  }
}

function serverOf(port: number): [string, ...string[]] {
  // One thread: a connection to SQLite is of use to the thread alone that has opened it.
  const size = ['--threads', '1', '--enable-threads', '--buffer-size', '65535'];
  // Kept-alive connections are reset now and then by this kind of socket.
  const manners = ['--die-on-term', '--need-app', '--add-header', 'Connection: close'];
  const app = ['--wsgi-file', '/usr/bin/keystone-wsgi-public'];
  return ['uwsgi_python3', '--http-socket', `127.0.0.1:${port}`, ...app, ...size, ...manners];
}

async function addPeople(authUrl: string, adminPassword: string): Promise<KeystoneSettings> {
  const credentials = { user: 'admin', password: adminPassword, project: 'admin' };
  const session = await logIn({ authUrl }, credentials);
  const admin = { ...credentials, projectId: session.projectId };
  const keystone = { authUrl, region: REGION, admin };
  const member = await addUser(keystone, { user: 'ekko', project: 'backups', role: 'member' });
  const applicationCredential = await addApplicationCredential(keystone, member, { name: 'vault' });
  return { ...keystone, member, applicationCredential };
}

type Identity = Pick<KeystoneSettings, 'authUrl'>;
type Administered = Pick<KeystoneSettings, 'authUrl' | 'admin'>;
type Credentials = Pick<KeystoneUser, 'user' | 'password' | 'project'>;

/** A token for a user's project. */
export async function logIn({ authUrl }: Identity, { user, password, project }: Credentials): Promise<KeystoneSession> {
  const domain = { id: 'default' };
  const identity = { methods: ['password'], password: { user: { name: user, domain, password } } };
  const body = { auth: { identity, scope: { project: { name: project, domain } } } };
  const answer = await fetch(`${authUrl}/auth/tokens`, {
    method: 'POST',
    headers: JSON_BODY,
    body: JSON.stringify(body),
  });
  const { token } = (await checked(answer)) as { token: { user: { id: string }; project: { id: string } } };
  return { token: answer.headers.get('x-subject-token') ?? '', userId: token.user.id, projectId: token.project.id };
}

/** Ends a token before its time. */
export async function revokeToken(keystone: Administered, token: string): Promise<void> {
  const { token: ours } = await logIn(keystone, keystone.admin);
  const headers = { 'x-auth-token': ours, 'x-subject-token': token };
  await checked(await fetch(`${keystone.authUrl}/auth/tokens`, { method: 'DELETE', headers }));
}

/** A new user with one role in a project, which is made if it is not there. */
export async function addUser(
  keystone: Administered,
  { user, project, role }: { user: string; project: string; role: string },
): Promise<KeystoneUser> {
  const { token } = await logIn(keystone, keystone.admin);
  const call = (method: string, path: string, body?: object) => callKeystone(keystone, token, method, path, body);
  const password = newPassword();
  const found = (await call('GET', `/projects?name=${project}`)) as { projects: { id: string }[] };
  const made =
    found.projects[0] ?? (await make<{ id: string }>(call, 'project', { name: project, domain_id: 'default' }));
  const { id } = await make<{ id: string }>(call, 'user', { name: user, password, domain_id: 'default' });
  const { roles } = (await call('GET', `/roles?name=${role}`)) as { roles: { id: string }[] };
  // Bootstrapping makes `service` in later releases only.
  const given = roles[0] ?? (await make<{ id: string }>(call, 'role', { name: role }));
  await call('PUT', `/projects/${made.id}/users/${id}/roles/${given.id}`);
  return { user, password, project, projectId: made.id };
}

/** An application credential of `user`; `more` as the API takes it: roles, access_rules, expires_at. */
export async function addApplicationCredential(
  keystone: Identity,
  user: Credentials,
  more: { readonly name: string } & Readonly<Record<string, unknown>>,
): Promise<ApplicationCredential> {
  const { token, userId } = await logIn(keystone, user);
  const body = { application_credential: more };
  const made = await callKeystone(keystone, token, 'POST', `/users/${userId}/application_credentials`, body);
  return (made as { application_credential: ApplicationCredential }).application_credential;
}

/** Registers a service with one URL for all interfaces. */
export async function addService(
  keystone: Administered & Pick<KeystoneSettings, 'region'>,
  { type, name, url }: { type: string; name: string; url: string },
): Promise<void> {
  const { token } = await logIn(keystone, keystone.admin);
  const call = (method: string, path: string, body?: object) => callKeystone(keystone, token, method, path, body);
  const { id } = await make<{ id: string }>(call, 'service', { type, name });
  for (const kind of ['public', 'internal', 'admin']) {
    await make(call, 'endpoint', { service_id: id, interface: kind, url, region_id: keystone.region });
  }
}

type Call = (method: string, path: string, body?: object) => Promise<unknown>;

async function make<T>(call: Call, kind: string, body: object): Promise<T> {
  const made = (await call('POST', `/${kind}s`, { [kind]: body })) as Record<string, T>;
  return made[kind] as T;
}

const JSON_BODY = { 'content-type': 'application/json' };

/** One call of the API; what it answers, or undefined where it answers nothing. Throws for every status but 2xx. */
export async function callKeystone(
  { authUrl }: Identity,
  token: string,
  method: string,
  path: string,
  body?: object,
): Promise<unknown> {
  const headers = { 'x-auth-token': token, ...JSON_BODY };
  return checked(await fetch(authUrl + path, { method, headers, ...(body && { body: JSON.stringify(body) }) }));
}

async function checked(answer: Response): Promise<unknown> {
  const text = await answer.text();
  if (!answer.ok) throw new Error(`Keystone answers ${answer.status} to ${answer.url}: ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

/** For `untilItAnswers`. */
export async function expectStatus(url: string, status: number): Promise<void> {
  const answer = await fetch(url);
  await answer.arrayBuffer();
  if (answer.status !== status) throw new Error(`${url} answers ${answer.status}.`);
}
