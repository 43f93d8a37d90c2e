import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { encodeTicket, serverTicket } from '#vault/export-ticket.ts';
import { createKeyFile } from '#vault/keys/key-file.ts';
import { keyFileProvider } from '#vault/keys/key-provider.ts';
import { abandonRun, startRun } from '#vault/runs.ts';
import { openFileStore } from '#vault/store/file-store.ts';
import { createVault, openVault, type Vault } from '#vault/vault.ts';
import { bundlePath } from '../../../functions/host/bundles.ts';
import { type FunctionHost, openFunctionHost } from '../../../functions/host/function-host.ts';
import { openStagedParts } from '../../../functions/host/staged-parts.ts';

/** A Keystone, a catalog with a vault of its own, and the one place that parts may be put at, behind one port. */
export interface StubCloud {
  readonly url: string;
  readonly vault: Vault;
  /** By token. */
  readonly callers: Map<
    string,
    { readonly project: string; readonly roles: readonly string[]; readonly endsAt?: number }
  >;
  /** Tokens that Keystone was asked about. */
  readonly asked: string[];
  readonly registered: { host: string; url: string }[];
  readonly noticed: string[];
  readonly staged: string[];
  /** Counts down: so many uploads answer 503 first. */
  failUploads: number;
  /** While true, uploads wait. */
  stalled: boolean;
  readonly quiesce: { mode: 'require' | 'prefer' | 'never' };
  /** Starts a run of one server's disks. */
  newRun(disks: readonly string[]): Promise<string>;
  /** Processes what is staged and commits; abandons where that fails. */
  commit(run: string): Promise<void>;
  abandon(run: string): Promise<void>;
  close(): Promise<void>;
}

export const SERVICE = { username: 'ekko', password: 'not a secret' };
const SIGNATURE = '?temp_url_sig=s3cret&temp_url_expires=9999999999&temp_url_prefix=staging/';

export async function startStubCloud(folder: string): Promise<StubCloud> {
  const { vault, host } = await makeVault(folder);
  const parts = openStagedParts(host, vault.store, 100);
  const runs = new Map<string, readonly string[]>();

  const answers: Record<string, (incoming: IncomingMessage, body: Buffer, path: string) => Promise<Answer>> = {
    'POST /v3/auth/tokens': async (_, body) => {
      const { user } = JSON.parse(body.toString()).auth.identity.password;
      if (user.password !== SERVICE.password) return { status: 401, json: {} };
      const token = tokenBody({ project: 'service', roles: ['service'] }, Date.now() + 3_600_000);
      return { status: 201, json: token, headers: { 'x-subject-token': 'service-token' } };
    },
    'GET /v3/auth/tokens': async ({ headers }) => {
      const subject = String(headers['x-subject-token']);
      cloud.asked.push(subject);
      const caller = cloud.callers.get(subject);
      if (headers['x-auth-token'] !== 'service-token') return { status: 401, json: {} };
      if (caller === undefined) return { status: 404, json: {} };
      return { status: 200, json: tokenBody(caller, caller.endsAt ?? Date.now() + 3_600_000) };
    },
    'PUT /v1/exporters': async (_, body, path) => {
      cloud.registered.push({ host: path.split('/').at(-1) ?? '', url: JSON.parse(body.toString()).url });
      return { status: 200, json: {} };
    },
    'GET /v1/runs': async ({ headers }, _, path) => {
      const run = path.split('/')[3] ?? '';
      const disks = runs.get(run);
      if (!cloud.callers.has(String(headers['x-auth-token']))) return { status: 401, json: {} };
      if (disks === undefined) return { status: 404, json: { code: 'run-unknown' } };
      return { status: 200, json: ticket(run, disks) };
    },
    'POST /v1/runs': async (_, body) => {
      cloud.noticed.push(...JSON.parse(body.toString()).keys);
      return { status: 202, json: {} };
    },
    'PUT /swift': async ({ headers, url = '' }, body, path) => {
      while (cloud.stalled) await new Promise((resolve) => setTimeout(resolve, 20));
      if (!url.endsWith(SIGNATURE) || headers['if-none-match'] !== '*') return { status: 401, json: {} };
      if (cloud.failUploads-- > 0) return { status: 503, json: {} };
      const key = path.slice('/swift/'.length);
      const made = await vault.store.create(key, [body], { durable: false });
      cloud.staged.push(key);
      return { status: made === 'created' ? 201 : 412, json: {} };
    },
  };

  function ticket(run: string, disks: readonly string[]): object {
    const upload = { url: `${cloud.url}/swift/`, query: SIGNATURE };
    const rest = { upload, quiesce: cloud.quiesce.mode, bandwidth: undefined, readAll: undefined };
    return encodeTicket(serverTicket(vault, run, disks, [...disks.keys()], rest));
  }

  const server = createServer(async (incoming, outgoing) => {
    const path = new URL(incoming.url ?? '/', 'http://x').pathname;
    const found = Object.entries(answers).find(([route]) => `${incoming.method} ${path}`.startsWith(route));
    const pieces: Buffer[] = [];
    for await (const piece of incoming) pieces.push(piece as Buffer);
    const answer: Answer = await (found?.[1](incoming, Buffer.concat(pieces), path) ?? { status: 404, json: {} });
    outgoing.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
    outgoing.end(JSON.stringify(answer.json));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const cloud: StubCloud = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    vault,
    callers: new Map([
      ['owner', { project: 'p1', roles: ['member'] }],
      ['reader', { project: 'p1', roles: ['reader'] }],
      ['stranger', { project: 'p2', roles: ['member', 'admin'] }],
      ['unscoped', { project: '', roles: [] }],
    ]),
    ...{ asked: [], registered: [], noticed: [], staged: [], failUploads: 0, stalled: false },
    quiesce: { mode: 'never' },
    async newRun(disks) {
      const run = await startRun(vault, { group: 'g', disks, host: 'h', process: 'p' }, new Date());
      runs.set(run, disks);
      return run;
    },
    async commit(run) {
      await parts.settle(run);
      await host.invoke('point-committer', { run });
      await vault.journal.refresh();
    },
    abandon: (run) => abandonRun(vault, run, 'tried', new Date()),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await host.close();
    },
  };
  return cloud;
}

interface Answer {
  readonly status: number;
  readonly json: object;
  readonly headers?: Record<string, string>;
}

function tokenBody({ project, roles }: { project: string; roles: readonly string[] }, endsAt: number): object {
  const scope = project === '' ? {} : { project: { id: project } };
  const times = { issued_at: new Date().toISOString(), expires_at: new Date(endsAt).toISOString() };
  return { token: { ...scope, ...times, roles: roles.map((name) => ({ name })) } };
}

async function makeVault(folder: string): Promise<{ vault: Vault; host: FunctionHost }> {
  const [path, key] = [join(folder, 'vault'), join(folder, 'key')];
  const { publicKey } = await createKeyFile(key);
  const recipients = [{ kind: 'key-file', publicKey }] as const;
  await createVault(openFileStore(path), { recipients, noEscrow: true, now: new Date() });
  const host = openFunctionHost({
    ...{ workers: 1, callsPerWorker: 2, workerPath: bundlePath('function-worker') },
    bundles: { 'segment-processor': bundlePath('segment-processor'), 'point-committer': bundlePath('point-committer') },
    environment: {
      EKKO_VAULT: path,
      EKKO_KEY_FILE: key,
      POWERTOOLS_LOG_LEVEL: 'SILENT',
      POWERTOOLS_METRICS_DISABLED: 'true',
    },
  });
  return { vault: await openVault(openFileStore(path), keyFileProvider(key)), host };
}
