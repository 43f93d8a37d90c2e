import pLimit from 'p-limit';
import { EkkoError } from '#vault/errors.ts';
import type { Omission } from '#vault/format/topology.ts';
import type { Caller } from '../caller.ts';
import { refusal } from '../cloud/call-service.ts';
import { askCloud, type CloudService } from '../cloud/tenant-call.ts';
import type { CloudEndpoints } from '../settings.ts';
import { allSaid, type Said, said } from './said.ts';

/** Asks the services of the cloud, with the caller's token, until the time is over. Notes what could not be read. */
export interface Questions {
  /** Throws `cloud-failed` where the settings do not name it. */
  service(name: Service): CloudService;
  /** What a service answers, its list called `list`; `undefined`: the service has nothing of that kind (404). Throws as `refusal` does. */
  ask(service: Service, path: string): Promise<Said | undefined>;
  /** The objects of `list` in the answers to the path with each value of `values` in turn, so many at once that the URL stays short. */
  askEach(service: Service, path: string, filter: string, values: readonly string[], list: string): Promise<Said[]>;
  /** What `work` gives; where it fails, `otherwise`, and `parts` are noted as left out. Never throws. */
  attempt<T>(parts: readonly string[], otherwise: T, work: () => Promise<T>): Promise<T>;
  /** Something that is not there though it should be. */
  omit(part: string, why: string): void;
  /** In the order of their parts. */
  omitted(): Omission[];
}

export type Service = keyof typeof SERVICES;

/** Nova's since Train: flavors as servers were made with them, and what becomes of volumes. */
const SERVICES = {
  nova: { name: 'Nova', headers: { 'openstack-api-version': 'compute 2.79' } },
  cinder: { name: 'Cinder' },
  neutron: { name: 'Neutron' },
  glance: { name: 'Glance' },
  heat: { name: 'Heat' },
} as const;

const AT_ONCE = 8;
/** 50 ids and their names have 2.5 KiB. */
const VALUES_AT_ONCE = 50;

export function openQuestions(endpoints: CloudEndpoints, caller: Caller, signal: AbortSignal): Questions {
  const limit = pLimit(AT_ONCE);
  const omissions = new Map<string, Omission>();
  const omit = (part: string, why: string) => void omissions.set(`${part} ${why}`, { part, why });
  const service = (name: Service): CloudService => {
    const endpoint = endpoints[name];
    if (endpoint !== undefined) return { ...SERVICES[name], endpoint, signal };
    throw new EkkoError('cloud-failed', `The settings of this Ekko name no ${SERVICES[name].name}.`);
  };
  const ask = async (name: Service, path: string): Promise<Said | undefined> => {
    const asked = service(name);
    const answer = await limit(() => askCloud(asked, caller, path));
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw refusal({ service: asked.name, url: path }, answer);
    return said(answer.body);
  };
  return {
    ...{ service, ask, omit },
    async askEach(name, path, filter, values, list) {
      const starts = Array.from({ length: Math.ceil(values.length / VALUES_AT_ONCE) }, (_, i) => i * VALUES_AT_ONCE);
      const answers = await Promise.all(
        starts.map((start) => {
          const query = values
            .slice(start, start + VALUES_AT_ONCE)
            .map((value) => `${filter}=${encodeURIComponent(value)}`);
          return ask(name, `${path}${path.includes('?') ? '&' : '?'}${query.join('&')}`);
        }),
      );
      return answers.flatMap((answer) => [...allSaid(answer?.[list])]);
    },
    async attempt(parts, otherwise, work) {
      try {
        return await work();
      } catch (error) {
        const why = signal.aborted
          ? 'It took too long to read it.'
          : error instanceof EkkoError
            ? error.message
            : 'What the service answered could not be understood.';
        for (const part of parts) omit(part, why);
        return otherwise;
      }
    },
    omitted: () => [...omissions.values()].sort((a, b) => (a.part < b.part ? -1 : 1)),
  };
}
