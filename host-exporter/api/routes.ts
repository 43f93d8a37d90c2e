import { createHash } from 'node:crypto';
import type { MeasuredImages } from '../changed-blocks/measured-images.ts';
import { openVirsh } from '../libvirt/virsh.ts';
import { textOf } from '../qemu/json-value.ts';
import { ApiError } from './api-error.ts';
import { openAsk } from './ask-vault.ts';
import { checkRole, describeServer, digestsOf, findOwnDomain } from './describe-server.ts';
import type { ExporterSettings } from './exporter-settings.ts';
import type { Caller, Identify } from './identity.ts';
import type { Member } from './member.ts';
import type { CatalogAccess } from './member-context.ts';
import type { Members } from './members.ts';
import { openNotify } from './notices.ts';
import type { Peers } from './peers.ts';
import type { ApiRequest, Route } from './server.ts';
import { fetchTicket } from './ticket.ts';

export interface RouteParts {
  readonly settings: ExporterSettings;
  readonly peers: Peers;
  readonly identify: Identify;
  readonly members: Members;
  readonly images: MeasuredImages;
  readonly version: string;
}

const MEMBER = '/v1/runs/:run/servers/:server';
const STEPS = ['freeze', 'checkpoint', 'thaw', 'export'] as const;

/** The API (docs/operations.md, "The exporter"). */
export function exporterRoutes({ settings, peers, identify, members, images, version }: RouteParts): readonly Route[] {
  const virsh = openVirsh({ uri: settings.libvirt, program: 'virsh' });
  const catalog = settings.catalog.replace(/\/$/, '');

  async function showServer(request: ApiRequest): Promise<object> {
    const caller = await identify(request.token);
    const domain = await findOwnDomain(virsh, request.part('server'), caller, settings.roles);
    if (request.query('digests') === 'no') return describeServer(virsh, domain);
    return describeServer(virsh, domain, await digestsOf(virsh, domain.uuid, images));
  }

  function accessOf(run: string, server: string, token: string): CatalogAccess {
    const place = { catalog, run, server, token };
    return {
      digest: createHash('sha256').update(token).digest('base64'),
      notify: openNotify(peers, catalog, run, token),
      ask: openAsk(peers, place),
      ticket: () => fetchTicket(peers, place),
    };
  }

  async function join(request: ApiRequest): Promise<object> {
    const caller = await identify(request.token);
    const [run, server, token] = [request.part('run'), request.part('server'), request.token ?? ''];
    await findOwnDomain(virsh, server, caller, settings.roles);
    if (textOf(request.body, 'catalog').replace(/\/$/, '') !== catalog) {
      throw new ApiError(400, 'bad-input', `This exporter works for the catalog at ${catalog} only.`);
    }
    const access = accessOf(run, server, token);
    const ticket = await access.ticket();
    const member = members.join(
      run,
      server,
      caller.project,
      ticket.disks.map(({ name }) => name),
    );
    member.renew(ticket, access);
    await member.prepare();
    return member.report();
  }

  /** The member of the caller's own project; others' are as if they were not there. */
  async function findMember(request: ApiRequest): Promise<Member> {
    const caller: Caller = await identify(request.token);
    const member = members.find(request.part('run'), request.part('server'));
    if (member === undefined || member.project !== caller.project) {
      throw new ApiError(404, 'run-unknown', 'No such run of a server of your project is known on this host.');
    }
    checkRole(caller, settings.roles);
    member.heard(accessOf(member.run, member.server, request.token ?? ''));
    return member;
  }

  const step = (name: (typeof STEPS)[number]): Route => ({
    ...{ method: 'POST', path: `${MEMBER}/${name}` },
    handle: async (request) => {
      const member = await findMember(request);
      await member[name]();
      return member.report();
    },
  });

  async function end(request: ApiRequest): Promise<object> {
    const member = await findMember(request);
    const outcome = request.query('outcome');
    if (outcome !== 'committed' && outcome !== 'abandoned') {
      throw new ApiError(400, 'bad-input', 'outcome is committed or abandoned.');
    }
    await member.end(outcome);
    return member.report();
  }

  return [
    { method: 'GET', path: '/healthcheck', handle: async () => ({ status: 'up', version, host: settings.host }) },
    { method: 'GET', path: '/v1/servers/:server', handle: showServer },
    { method: 'PUT', path: MEMBER, handle: join },
    { method: 'GET', path: MEMBER, handle: async (request) => (await findMember(request)).report() },
    ...STEPS.map(step),
    { method: 'DELETE', path: MEMBER, handle: end },
  ];
}
