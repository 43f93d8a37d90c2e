import { writeFile } from 'node:fs/promises';
import { addUser, type KeystoneSettings, type KeystoneUser, useKeystone } from './keystone.ts';
import { type RabbitmqSettings, useRabbitmq } from './rabbitmq.ts';
import { freePort } from './service.ts';

/** The user as which a service checks tokens; each has a project of its own, so that services can start at the same time. */
export function addServiceUser(keystone: KeystoneSettings, service: string): Promise<KeystoneUser> {
  return addUser(keystone, { user: service, project: `${service}-service`, role: 'admin' });
}

/** The section by which a service checks tokens, or (by another name) logs in somewhere. */
export function authSection(name: string, keystone: KeystoneSettings, user: KeystoneUser): string {
  return `[${name}]
auth_type = password
auth_url = ${keystone.authUrl}
www_authenticate_uri = ${keystone.authUrl}
username = ${user.user}
password = ${user.password}
project_name = ${user.project}
user_domain_id = default
project_domain_id = default
region_name = ${keystone.region}
`;
}

/** Writes a configuration, which holds passwords; its path. */
export async function writeConfiguration(file: string, text: string): Promise<string> {
  await writeFile(file, text, { mode: 0o600 });
  return file;
}

/** The command that serves one of Debian's WSGI scripts. */
export function wsgiServer(port: number, script: string, ...more: string[]): [string, ...string[]] {
  const size = ['--threads', '4', '--enable-threads', '--buffer-size', '65535'];
  // Kept-alive connections are reset now and then by this kind of socket.
  const manners = ['--die-on-term', '--need-app', '--add-header', 'Connection: close'];
  return ['uwsgi_python3', '--http-socket', `127.0.0.1:${port}`, '--wsgi-file', script, ...size, ...manners, ...more];
}

/** For `transport_url`. */
export function transportUrl({ user, password, host, port }: RabbitmqSettings): string {
  return `rabbit://${user}:${password}@${host}:${port}/`;
}

/** What needs to be nobody's but a service's: its port, its user, its database, and where Keystone and RabbitMQ are. */
export interface ServiceParts {
  readonly folder: string;
  readonly port: number;
  readonly keystone: KeystoneSettings;
  readonly rabbitmq: RabbitmqSettings;
  readonly user: KeystoneUser;
}

/** All that a service needs before its configuration can be written; its databases are made meanwhile. */
export async function prepareService<T>(
  folder: string,
  service: string,
  databases: () => Promise<T>,
): Promise<ServiceParts & { readonly databases: T }> {
  const [keystone, rabbitmq, made] = await Promise.all([useKeystone(), useRabbitmq(), databases()]);
  const user = await addServiceUser(keystone, service);
  return { folder, port: await freePort(), keystone, rabbitmq, user, databases: made };
}

/** The command of one of a service's programs whose script is in a package that would start it by itself. */
export function pythonMain(module: string, ...args: string[]): [string, ...string[]] {
  return pythonCode(mainOf(module), ...args);
}

/** Likewise, for a program that is started with other code before its own: `mainOf` of its module. */
export function pythonCode(code: string, ...args: string[]): [string, ...string[]] {
  return ['/usr/bin/python3', '-c', code, ...args];
}

export function mainOf(module: string): string {
  return `import sys; from ${module} import main; sys.exit(main())`;
}
