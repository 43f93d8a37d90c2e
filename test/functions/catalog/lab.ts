import { openMemoryStore } from '#vault/store/memory-store.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { catalogHandler } from '../../../functions/catalog/http-handler.ts';
import { openCatalog } from '../../../functions/catalog/open-catalog.ts';
import type { OpenImageSource } from '../../../functions/catalog/restores/disk-image-source.ts';
import type { CatalogSettings } from '../../../functions/catalog/settings.ts';
import { type HttpServer, openHttpServer } from '../../../functions/host/http-server.ts';
import { openDiskImage } from '../../../functions/restorer/disk-image.ts';
import { checkAnswer } from './api-contract.ts';
import { type FakeCloud, type FakeServer, openFakeCloud, SERVICE_PASSWORD } from './fake-cloud.ts';
import { type FakeGlance, openFakeGlance } from './fake-glance.ts';
import { openStubExporter, type StubExporter } from './stub-exporter.ts';
import { memoryPlaces, openTestVaults, type TestVaults } from './test-vaults.ts';

export interface LabAnswer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what a test is about; its form is checked against the document.
  readonly body: any;
  readonly headers: Headers;
}

/** A catalog behind real HTTP, a cloud and exporters that are fakes, vaults in memory. Every answer is checked against the OpenAPI document. */
export interface Lab {
  readonly cloud: FakeCloud;
  readonly glance: FakeGlance;
  readonly vaults: TestVaults;
  readonly registry: ObjectStore;
  readonly url: () => string;
  /** `token` is `alice` unless another is named; `null`: none. */
  call(
    method: string,
    path: string,
    options?: { readonly token?: string | null; readonly body?: unknown },
  ): Promise<LabAnswer>;
  /** A hypervisor with a registered exporter. */
  addHost(host: string): Promise<StubExporter>;
  addServer(id: string, server: Partial<FakeServer>): void;
  /** A vault `main`, and a policy over servers. */
  addPolicy(policy: string, members: object, more?: object): Promise<void>;
  /** Ends this catalog and starts another over the same registry, as after its death: what was in memory is gone. */
  restart(): Promise<void>;
  /** Waits until the run is in a state. */
  until(run: string, state: string): Promise<LabAnswer>;
  close(): Promise<void>;
}

const HOUR_MS = 3_600_000;

export async function openLab(limits = { requests_per_minute: 100_000, refusals_per_minute: 100_000 }): Promise<Lab> {
  const registry = openMemoryStore();
  const cloud = await openFakeCloud();
  for (const [token, project, roles] of TOKENS)
    cloud.tokens.set(token, { project, roles, expiresAt: Date.now() + HOUR_MS });
  const glance = await openFakeGlance((token) => cloud.tokens.get(token)?.project);
  const vaults = openTestVaults(memoryPlaces());
  const exporters: StubExporter[] = [];
  let served = await serve(registry, { cloud, glance, vaults }, limits, 0);

  const lab: Lab = {
    ...{ cloud, glance, vaults, registry, url: () => `http://127.0.0.1:${served.port}` },
    async call(method, path, { token = 'alice', body } = {}) {
      const answer = await fetch(`http://127.0.0.1:${served.port}${path}`, {
        method,
        headers: { ...(token === null ? {} : { 'x-auth-token': token }), 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const text = await answer.text();
      const parsed: unknown = text === '' ? undefined : JSON.parse(text);
      checkAnswer(method, path, answer.status, answer.headers.get('content-type') ?? '', parsed);
      return { status: answer.status, body: parsed, headers: answer.headers };
    },
    async addHost(host) {
      const exporter = await openStubExporter(cloud, host, vaults.places);
      exporters.push(exporter);
      await lab.call('PUT', `/v1/exporters/${host}`, { token: 'exporter', body: { url: exporter.url() } });
      return exporter;
    },
    addServer: (id, server) =>
      void cloud.servers.set(id, { project: 'a', name: id.slice(0, 4), host: 'c1', ...server }),
    async addPolicy(policy, members, more = {}) {
      await lab.call('PUT', '/v1/vaults/main', { body: { store: 'swift:backups', escrow: 'waived' } });
      const { status, body } = await lab.call('PUT', `/v1/policies/${policy}`, {
        body: { vault: 'main', members, ...more },
      });
      if (status > 201) throw new Error(JSON.stringify(body));
    },
    async restart() {
      await served.close(0);
      served = await serve(registry, { cloud, glance, vaults }, limits, served.port);
      // Connections that the client kept end with the first request on each.
      for (let good = 0; good < 3; )
        good = (await fetch(`${lab.url()}/healthcheck`).catch(() => undefined))?.ok ? good + 1 : 0;
    },
    async until(run, state) {
      for (let tries = 0; tries < 500; tries++) {
        const answer = await lab.call('GET', `/v1/runs/${run}`);
        if (answer.body.state === state) return answer;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      throw new Error(`Run ${run} is not ${state}: ${JSON.stringify((await lab.call('GET', `/v1/runs/${run}`)).body)}`);
    },
    async close() {
      await served.close(0);
      await Promise.all([cloud.close(), glance.close(), ...exporters.map((exporter) => exporter.stop())]);
    },
  };
  return lab;
}

/** Token, project, roles. */
const TOKENS = [
  ['alice', 'a', ['member', 'reader']],
  ['reader', 'a', ['reader']],
  ['nobody', 'a', []],
  ['bob', 'b', ['member', 'reader']],
  ['exporter', 'services', ['service']],
  ['admin', 'admin', ['admin', 'member', 'reader']],
  ['unscoped', undefined, []],
] as const;

export function settingsFor(cloud: Pick<FakeCloud, 'url'>, publicUrl: string): CatalogSettings {
  return {
    listen: { host: '127.0.0.1', port: 0 },
    public_url: publicUrl,
    keystone: {
      ...{ url: `${cloud.url}/keystone`, user: 'ekko', password: SERVICE_PASSWORD, project: 'services' },
      ...{ user_domain: 'Default', project_domain: 'Default' },
    },
    endpoints: {
      nova: `${cloud.url}/nova`,
      cinder: `${cloud.url}/cinder/%(project_id)s`,
      heat: `${cloud.url}/heat/%(project_id)s`,
      ...{ neutron: `${cloud.url}/neutron`, glance: `${cloud.url}/glance` },
      swift: `${cloud.url}/swift/AUTH_%(project_id)s`,
      barbican: `${cloud.url}/barbican`,
    },
    limits: { requests_per_minute: 100_000, refusals_per_minute: 100_000 },
    journal_file: '/dev/null',
    workers: 1,
  };
}

/** In this thread. */
export const openSource: OpenImageSource = ({ reader, manifest }) =>
  openDiskImage({ reader, manifest, threads: undefined });

async function serve(
  registry: ObjectStore,
  { cloud, glance, vaults }: Pick<Lab, 'cloud' | 'glance' | 'vaults'>,
  limits: CatalogSettings['limits'],
  port: number,
): Promise<HttpServer> {
  process.env['POWERTOOLS_LOG_LEVEL'] = 'SILENT';
  const plain = settingsFor(cloud, '');
  const settings = { ...plain, endpoints: { ...plain.endpoints, glance: glance.url }, limits };
  let publicUrl = '';
  const catalog = openCatalog(settings, { store: registry, tenants: vaults, openSource, leaseMs: 2000 });
  const handler = catalogHandler(
    Object.defineProperty({ ...catalog }, 'publicUrl', { get: () => publicUrl, enumerable: true }),
  );
  const server = await openHttpServer({
    listen: { host: '127.0.0.1', port },
    handler: async (event) => (await handler(event, {} as never)) as never,
    log: () => undefined,
  });
  publicUrl = `http://127.0.0.1:${server.port}`;
  return server;
}
