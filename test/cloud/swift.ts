import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  addService,
  addUser,
  expectStatus,
  type KeystoneSettings,
  type KeystoneUser,
  useKeystone,
} from './keystone.ts';
import { freePort, startDaemon, untilItAnswers, useService } from './service.ts';

/** An Object Storage service in the catalogue of a Keystone; the Keystone's member is at home there. */
export interface SwiftSettings {
  readonly keystone: KeystoneSettings;
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  /** Of the member's account: `<origin>/v1/AUTH_<project id>` */
  readonly storageUrl: string;
}

/** A Swift of one replica, shared by the tests of a run. Each test makes its own container. */
export function useSwift(): Promise<SwiftSettings> {
  return useService('swift', startSwift);
}

/** Seconds for which the proxy believes a token without asking Keystone. */
const TOKEN_CACHE_SECONDS = 10;
const KINDS = ['account', 'container', 'object'] as const;
const run = promisify(execFile);

async function startSwift(folder: string): Promise<SwiftSettings> {
  // Keystone takes the longest; what does not need it starts meanwhile.
  const [keystone] = await Promise.all([useKeystone(), startStorage(folder)]);
  const user = await addUser(keystone, { user: 'swift', project: 'service', role: 'admin' });
  const [port, cachePort] = [await freePort(), await freePort()];
  await startDaemon(folder, 'memcached', ['memcached', '-u', 'root', '-l', '127.0.0.1', '-p', String(cachePort)]);
  await startProxy(folder, { port, cachePort, keystone, user });
  const origin = `http://127.0.0.1:${port}`;
  await addService(keystone, { type: 'object-store', name: 'swift', url: `${origin}/v1/AUTH_%(tenant_id)s` });
  await untilItAnswers(() => expectStatus(`${origin}/healthcheck`, 200));
  return { keystone, origin, storageUrl: `${origin}/v1/AUTH_${keystone.member.projectId}` };
}

async function startStorage(folder: string): Promise<void> {
  await mkdir(join(folder, 'devices', 'disk'), { recursive: true });
  const ports: number[] = [];
  for (const _ of KINDS) ports.push(await freePort());
  await run('/usr/bin/python3', ['-c', RINGS, folder, ...ports.map(String)]);
  await Promise.all(KINDS.map((kind, at) => startStorageServer(folder, kind, ports[at] ?? 0)));
}

/** What nine calls of `swift-ring-builder` do. */
const RINGS = `
import sys
from swift.common.ring import RingBuilder
folder, *ports = sys.argv[1:]
for kind, port in zip(('account', 'container', 'object'), ports):
    builder = RingBuilder(6, 1, 0)
    builder.add_dev({'id': 0, 'region': 1, 'zone': 1, 'weight': 1.0, 'ip': '127.0.0.1', 'port': int(port), 'device': 'disk', 'meta': ''})
    builder.rebalance()
    builder.get_ring().save(f'{folder}/{kind}.ring.gz')
`;

/** A busy machine must not look like a broken one: nobody is given up early, nor avoided for a while. Listings are always up to date. */
const PATIENCE = `
conn_timeout = 30
node_timeout = 120
recoverable_node_timeout = 120
container_update_timeout = 120
error_suppression_limit = 1000000
`;

async function startStorageServer(folder: string, kind: (typeof KINDS)[number], port: number): Promise<void> {
  const configuration = `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
workers = 0
user = root
swift_dir = ${folder}
devices = ${folder}/devices
mount_check = false
log_level = WARNING
${PATIENCE}
[pipeline:main]
pipeline = ${kind}-server
[app:${kind}-server]
use = egg:swift#${kind}
`;
  await startServer(folder, kind, configuration);
}

interface Proxy {
  readonly port: number;
  readonly cachePort: number;
  readonly keystone: KeystoneSettings;
  readonly user: KeystoneUser;
}

async function startProxy(folder: string, { port, cachePort, keystone, user }: Proxy): Promise<void> {
  const plain = [
    'catch_errors',
    'gatekeeper',
    'healthcheck',
    'listing_formats',
    'bulk',
    'tempurl',
    'copy',
    'slo',
    'dlo',
  ];
  const configuration = `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
workers = 0
user = root
swift_dir = ${folder}
log_level = WARNING
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk tempurl authtoken keystoneauth copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
${PATIENCE}
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:${cachePort}
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = ${keystone.authUrl}
auth_url = ${keystone.authUrl}
auth_type = password
username = ${user.user}
password = ${user.password}
project_name = ${user.project}
user_domain_id = default
project_domain_id = default
delay_auth_decision = true
service_type = object-store
cache = swift.cache
token_cache_time = ${TOKEN_CACHE_SECONDS}
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, member
${plain.map((filter) => `[filter:${filter}]\nuse = egg:swift#${filter}`).join('\n')}
`;
  await startServer(folder, 'proxy', configuration);
}

async function startServer(folder: string, kind: string, configuration: string): Promise<void> {
  const file = join(folder, `${kind}.conf`);
  await writeFile(file, configuration, { mode: 0o600 });
  // Logs go to the syslog unless they are asked for on the console.
  await startDaemon(folder, kind, [`swift-${kind}-server`, file, '--verbose']);
}
