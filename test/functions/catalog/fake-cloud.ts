import { hostIdOf } from '../../../functions/catalog/cloud/servers.ts';
import { type FakeAnswer, type FakeRequest, type HttpFake, openHttpFake } from './http-fake.ts';

export interface FakeToken {
  readonly project: string | undefined;
  readonly roles: readonly string[];
  readonly expiresAt: number;
}

export interface FakeServer {
  readonly project: string;
  readonly name: string;
  readonly host: string;
  readonly status?: string;
  readonly tags?: readonly string[];
  readonly volumes?: readonly string[];
}

/** What Keystone, Nova, Heat and Cinder of a small cloud know; a test changes it as it goes. Answers are as the real ones were seen to give them. */
export interface FakeCloud {
  readonly url: string;
  readonly requests: HttpFake['requests'];
  readonly tokens: Map<string, FakeToken>;
  readonly servers: Map<string, FakeServer>;
  /** By name, to the servers of the stack and of its nested ones. */
  readonly stacks: Map<string, { readonly project: string; readonly servers: readonly string[] }>;
  /** Services that answer 503: `keystone`, `nova`, `heat`, `cinder`. */
  readonly down: Set<string>;
  /** Asked first, of what needs a token of a project. */
  more: ((request: FakeRequest) => FakeAnswer | undefined) | undefined;
  /** Ends Ekko's own session, as Keystone does when it loses its keys. */
  endServiceSessions(): void;
  close(): Promise<void>;
}

export const SERVICE_PASSWORD = 'correct horse battery staple';
const HOUR_MS = 3_600_000;

export async function openFakeCloud(): Promise<FakeCloud> {
  const tokens = new Map<string, FakeToken>();
  const servers = new Map<string, FakeServer>();
  const stacks: FakeCloud['stacks'] = new Map();
  const down = new Set<string>();
  let sessions = 0;
  const isService = (token: string | undefined) => token === `service-${sessions}`;

  const keystone = ({ method, headers, body }: FakeRequest): FakeAnswer => {
    if (method === 'POST') {
      if (!JSON.stringify(body).includes(SERVICE_PASSWORD))
        return {
          status: 401,
          body: { error: { code: 401, message: 'The request you have made requires authentication.' } },
        };
      const expires = new Date(Date.now() + HOUR_MS).toISOString();
      return {
        status: 201,
        headers: { 'x-subject-token': `service-${++sessions}` },
        body: { token: { expires_at: expires } },
      };
    }
    if (!isService(headers['x-auth-token']))
      return {
        status: 401,
        body: { error: { code: 401, message: 'The request you have made requires authentication.' } },
      };
    const found = tokens.get(headers['x-subject-token'] ?? '');
    if (found === undefined || found.expiresAt < Date.now())
      return { status: 404, body: { error: { code: 404, message: 'Could not find token.' } } };
    const { project, roles, expiresAt } = found;
    const scope = project === undefined ? {} : { project: { id: project, name: project } };
    const token = {
      ...scope,
      roles: roles.map((name) => ({ id: name, name })),
      user: { id: 'u1' },
      expires_at: new Date(expiresAt).toISOString(),
    };
    return { status: 200, body: { token } };
  };

  const nova = (project: string, { path, query }: FakeRequest): FakeAnswer | undefined => {
    if (path === '/nova/servers/detail') {
      const tags = (query.get('tags-any') ?? '').split(',');
      const found = [...servers].filter(
        ([, server]) => server.project === project && server.tags?.some((tag) => tags.includes(tag)),
      );
      const begin = query.get('marker') === null ? 0 : found.findIndex(([id]) => id === query.get('marker')) + 1;
      return {
        status: 200,
        body: {
          servers: found.slice(begin, begin + Number(query.get('limit'))).map(([id, server]) => shown(id, server)),
        },
      };
    }
    const id = path.split('/').at(-1) ?? '';
    const server = servers.get(id);
    if (server?.project === project) return { status: 200, body: { server: shown(id, server) } };
    return { status: 404, body: { itemNotFound: { code: 404, message: `Instance ${id} could not be found.` } } };
  };

  const heat = (project: string, fake: string, { path }: FakeRequest): FakeAnswer | undefined => {
    const [, , owner, , name = '', id, resources] = path.split('/');
    const stack = stacks.get(name);
    if (owner !== project || stack?.project !== project)
      return { status: 404, body: { code: 404, error: { message: 'The Stack could not be found.' } } };
    // Heat believes that it is somebody else.
    if (id === undefined)
      return {
        status: 302,
        headers: { location: `http://10.9.8.7:8004/v1/${owner}/stacks/${name}/id-of-${name}` },
        body: { fake },
      };
    if (resources !== 'resources' || id !== `id-of-${name}`) return undefined;
    const other = {
      resource_type: 'OS::Neutron::Port',
      physical_resource_id: 'p1',
      resource_status: 'CREATE_COMPLETE',
    };
    const gone = { resource_type: 'OS::Nova::Server', physical_resource_id: '', resource_status: 'CREATE_FAILED' };
    const found = stack.servers.map((server) => ({
      resource_type: 'OS::Nova::Server',
      physical_resource_id: server,
      resource_status: 'CREATE_COMPLETE',
    }));
    return { status: 200, body: { resources: [other, gone, ...found] } };
  };

  const fake = await openHttpFake((request) => {
    const service = request.path.split('/')[1] ?? '';
    if (down.has(service)) return { status: 503, body: { message: 'down' } };
    if (service === 'keystone') return keystone(request);
    const caller = tokens.get(request.headers['x-auth-token'] ?? '');
    if (caller?.project === undefined)
      return { status: 401, body: { error: { message: 'The request you have made requires authentication.' } } };
    const more = cloud.more?.(request);
    if (more !== undefined) return more;
    if (service === 'nova') return nova(caller.project, request);
    if (service === 'heat') return heat(caller.project, 'heat', request);
    if (service === 'cinder') return { status: 200, body: { volumes: [{ id: VOLUME, name: 'data of web', size: 1 }] } };
    return undefined;
  });
  const cloud: FakeCloud = {
    ...{ url: fake.url, requests: fake.requests, tokens, servers, stacks, down, more: undefined, close: fake.close },
    endServiceSessions: () => {
      sessions += 1;
    },
  };
  return cloud;
}

/** A volume that Cinder knows by name. */
export const VOLUME = '11111111-2222-4333-8444-555555555555';

function shown(id: string, { project, name, host, status = 'ACTIVE', volumes = [] }: FakeServer) {
  return {
    ...{ id, name, status, tenant_id: project, hostId: host === '' ? '' : hostIdOf(project, host) },
    'os-extended-volumes:volumes_attached': volumes.map((volume) => ({ id: volume, delete_on_termination: false })),
  };
}
