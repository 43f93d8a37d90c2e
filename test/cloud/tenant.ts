import { writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { type Desk, openDesk } from '../functions/command-line/ekko.ts';
import { runTool } from '../guest/run-tool.ts';
import { type Answer, askService, callService } from './call-service.ts';
import type { useCloudWithServers } from './compute.ts';
import type { EkkoSettings } from './ekko.ts';
import { logIn } from './keystone.ts';
import { askAgent, bootServer, deleteServer, type Server, TASK, untilStatus } from './server.ts';

/** A restore point, and a run, as the catalog tells them. */
export interface Point {
  readonly point: string;
  readonly disks: number;
  readonly changedBytes: number;
  readonly consistency: string;
  readonly missing: readonly string[];
}

export interface Run {
  readonly run: string;
  readonly state: string;
  readonly windowMs?: number;
  readonly members: readonly { readonly name: string; readonly state: string; readonly problem?: string }[];
  readonly warnings?: readonly { readonly code: string; readonly message: string }[];
}

/** The owner of servers in a cloud with Ekko. */
export interface Tenant {
  /** Of now. */
  readonly token: string;
  /** Gets another token, as one does when the one before has ended. */
  logInAgain(): Promise<string>;
  /** One call of the catalog; throws for every answer but 2xx. */
  call<T>(method: string, path: string, body?: object): Promise<T>;
  /** Likewise, whatever it answers. */
  ask<T>(method: string, path: string, body?: object): Promise<Answer<T>>;
  boot(name: string): Promise<Server>;
  /** Has Nova do something with the server, by an action as its API takes it. */
  act(server: Server, action: object): Promise<void>;
  /** Resolves when Nova says that the server has this status, and is at work on it no more. */
  becomes(server: Server, status: string): Promise<void>;
  /** A file in the guest, which its page cache may hold until the guest is frozen. */
  writeInGuest(server: Server, path: string, text: string): Promise<void>;
  /** Makes a vault in the container `backups`; its key goes to the desk. */
  makeVault(name: string): Promise<void>;
  startRun(policy: string): Promise<Run>;
  /** Resolves when nobody is at work on the run any more. */
  exported(run: string): Promise<Run>;
  backUp(policy: string): Promise<Point & Run>;
  points(vault: string): Promise<Point[]>;
  /** How each disk of the point was read: `incremental`, or why it was read whole. */
  readingsOf(vault: string, point: Point): Promise<string[]>;
  /** A raw image of a disk, of the vault's newest point, made with the container and the key alone; the next one takes its place. */
  restoredDisk(vault: string, disk: string): Promise<string>;
  /** What a file of a disk has in the vault's newest point, likewise. */
  restoredFile(vault: string, disk: string, path: string): Promise<string>;
  /** Removes the servers that were booted here. */
  leave(): Promise<void>;
}

type Cloud = Awaited<ReturnType<typeof useCloudWithServers>>;

export async function openTenant(cloud: Cloud, ekko: EkkoSettings): Promise<Tenant> {
  const desk: Desk = await openDesk(accessOf(cloud));
  const made: Server[] = [];
  let { token } = await logIn(cloud.keystone, cloud.keystone.member);

  const tenant: Tenant = {
    get token() {
      return token;
    },
    async logInAgain() {
      ({ token } = await logIn(cloud.keystone, cloud.keystone.member));
      return token;
    },
    ask: (method, path, body) => callService(token, method, `${ekko.catalog}${path}`, body),
    async call<T>(method: string, path: string, body?: object) {
      const { status, body: answer } = await tenant.ask<T>(method, path, body);
      if (status >= 300) throw new Error(`${method} ${path} answers ${status}: ${JSON.stringify(answer)}`);
      return answer;
    },
    async boot(name) {
      const server = await bootServer(cloud, token, name);
      made.push(server);
      return server;
    },
    act: ({ id }, action) => askService(token, 'POST', `${cloud.nova.url}/servers/${id}/action`, action),
    async becomes({ id }, status) {
      const url = `${cloud.nova.url}/servers/${id}`;
      for (let task: unknown = ''; task !== null; await pause(200)) {
        await untilStatus(token, url, 'server', status);
        task = (await askService<{ server: Record<string, unknown> }>(token, 'GET', url)).server[TASK];
      }
    },
    async writeInGuest({ id }, path, text) {
      const handle = await askAgent(cloud, id, 'guest-file-open', { arguments: { path, mode: 'w' } });
      const content = Buffer.from(text).toString('base64');
      await askAgent(cloud, id, 'guest-file-write', { arguments: { handle, 'buf-b64': content } });
      await askAgent(cloud, id, 'guest-file-close', { arguments: { handle } });
    },
    async makeVault(name) {
      const wanted = { store: `swift:backups/${name}`, escrow: 'waived' };
      const { access } = await tenant.call<{ access: { secret: string } }>('PUT', `/v1/vaults/${name}`, wanted);
      const headers = { 'x-auth-token': token, accept: 'text/plain' };
      const answer = await fetch(`${cloud.barbican.origin}/v1/secrets/${access.secret}/payload`, { headers });
      await writeFile(desk.path(name), await answer.text(), { mode: 0o600 });
    },
    startRun: (policy) => tenant.call<Run>('POST', '/v1/runs', { policy }),
    async exported(run) {
      for (;;) {
        const found = await tenant.call<Run>('GET', `/v1/runs/${run}`);
        if (found.state !== 'exporting') return found;
        await pause(500);
      }
    },
    async backUp(policy) {
      const { run } = await tenant.startRun(policy);
      const held = await tenant.call<Run>('POST', `/v1/runs/${run}/moment`);
      await tenant.exported(run);
      const point = await tenant.call<Point>('POST', `/v1/runs/${run}/commit`);
      return { ...held, ...point };
    },
    points: async (vault) => (await tenant.call<{ points: Point[] }>('GET', `/v1/vaults/${vault}/points`)).points,
    async readingsOf(vault, { point }) {
      type Shown = { readonly members: readonly { readonly fullReason?: string }[] };
      const { members } = await tenant.call<Shown>('GET', `/v1/vaults/${vault}/points/${point}`);
      return members.map(({ fullReason }) => fullReason ?? 'incremental');
    },
    async restoredDisk(vault, disk) {
      const target = desk.path('disk.img');
      const restoring = ['restore', `swift://backups/${vault}`, `latest/${disk}`, target, '--overwrite'];
      expect(await desk.run(restoring, { keyFile: desk.path(vault) })).toMatchObject({ code: 0 });
      return target;
    },
    restoredFile: async (vault, disk, path) =>
      runTool('debugfs', ['-R', `cat ${path}`, await tenant.restoredDisk(vault, disk)]),
    async leave() {
      await desk.remove();
      for (const server of made) await deleteServer(cloud, token, server);
    },
  };
  return tenant;
}

function accessOf({ keystone: { authUrl, member, region } }: Cloud) {
  return {
    ...{ OS_AUTH_URL: authUrl, OS_USERNAME: member.user, OS_PASSWORD: member.password, OS_REGION_NAME: region },
    ...{ OS_PROJECT_NAME: member.project, OS_USER_DOMAIN_ID: 'default', OS_PROJECT_DOMAIN_ID: 'default' },
  };
}
