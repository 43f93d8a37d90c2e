import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { startAnswering } from './answering-daemon.ts';
import { freePort, useService } from './service.ts';

/** A RabbitMQ broker and its user, who may do anything. */
export interface RabbitmqSettings {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** `amqp://<user>:<password>@127.0.0.1:<port>/` */
  readonly url: string;
}

/** A RabbitMQ of one node, shared by the tests of a run. Each test makes its own virtual host or queues. */
export function useRabbitmq(): Promise<RabbitmqSettings> {
  return useService('rabbitmq', startRabbitmq);
}

interface Ports {
  readonly amqp: number;
  readonly distribution: number;
  readonly names: number;
}

async function startRabbitmq(folder: string): Promise<RabbitmqSettings> {
  const ports: Ports = { amqp: await freePort(), distribution: await freePort(), names: await freePort() };
  const [user, password] = ['ekko', randomBytes(16).toString('hex')];
  await Promise.all(['home', 'data', 'logs'].map((name) => mkdir(join(folder, name))));
  await writeFile(join(folder, 'rabbitmq.conf'), configurationOf(ports.amqp, user, password), { mode: 0o600 });
  await writeFile(join(folder, 'plugins'), '[].\n');
  await writeFile(join(folder, 'environment'), '');
  const options = { env: { ...process.env, ...environmentOf(folder, ports) } };
  // Erlang's name server would otherwise be started by the broker, outlive it, and be nobody's.
  const names = ['epmd', '-address', '127.0.0.1', '-port', String(ports.names)] as const;
  await startAnswering(folder, 'epmd', names, () => accepts(ports.names), options);
  const server = ['/usr/lib/rabbitmq/bin/rabbitmq-server'] as const;
  await startAnswering(folder, 'rabbitmq', server, () => greets(ports.amqp), options);
  const host = '127.0.0.1';
  return { host, port: ports.amqp, user, password, url: `amqp://${user}:${password}@${host}:${ports.amqp}/` };
}

function configurationOf(port: number, user: string, password: string): string {
  return `listeners.tcp.1 = 127.0.0.1:${port}
default_user = ${user}
default_pass = ${password}
loopback_users = none
log.file = false
log.console = true
log.console.level = warning
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 10MB
`;
}

/** The server's own script, not the one on the path: that one changes to a user of the package. */
function environmentOf(folder: string, { distribution, names }: Ports): NodeJS.ProcessEnv {
  return {
    HOME: join(folder, 'home'),
    RABBITMQ_NODENAME: 'ekko@localhost',
    RABBITMQ_CONF_ENV_FILE: join(folder, 'environment'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
    RABBITMQ_MNESIA_BASE: join(folder, 'data'),
    RABBITMQ_LOG_BASE: join(folder, 'logs'),
    RABBITMQ_PID_FILE: join(folder, 'broker-pid'),
    RABBITMQ_DIST_PORT: String(distribution),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_EPMD_PORT: String(names),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none',
  };
}

function accepts(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(void socket.destroy())).once('error', reject);
  });
}

/** It listens before it serves: an answer to something else than AMQP is its own version of AMQP, and the end. */
function greets(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('HELLO\r\n\r\n'));
    socket.setTimeout(5000, () => socket.destroy(new Error(`Port ${port} does not greet.`)));
    socket.once('error', reject).once('close', () => reject(new Error(`Port ${port} hangs up.`)));
    socket.once('data', (bytes) => {
      if (bytes.toString('latin1').startsWith('AMQP')) resolve();
      socket.destroy();
    });
  });
}
