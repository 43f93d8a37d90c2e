import { EkkoError } from '../errors.ts';
import { parseJson } from './bytes.ts';
import { checkTopology } from './check-topology.ts';
import type { Omission, Topology, TopologyServer, TopologyStack } from './topology.ts';

/** Bytes of JSON: what a topology may have. */
export const LARGEST_TOPOLOGY = 4 * 1024 ** 2;

/** The body of a topology's record. What goes beyond `LARGEST_TOPOLOGY` is left out, and named in `omitted`. */
export function encodeTopology(topology: Topology, largest = LARGEST_TOPOLOGY): Buffer {
  let bytes = bytesOf(topology);
  let left = topology;
  for (const { part, without } of LEAVING_OUT) {
    if (bytes.length <= largest) return bytes;
    const smaller = without(left);
    if (smaller === left) continue;
    left = { ...smaller, omitted: [...smaller.omitted, tooLarge(part)] };
    bytes = bytesOf(left);
  }
  return bytes;
}

/** Throws `bad-format` naming `origin` and the field, also above `LARGEST_TOPOLOGY`. */
export function decodeTopology(body: Uint8Array, origin: string): Topology {
  if (body.length <= LARGEST_TOPOLOGY) return checkTopology(parseJson(body, origin), origin);
  throw new EkkoError('bad-format', `${origin} has ${body.length} bytes, at most ${LARGEST_TOPOLOGY} are allowed.`);
}

function bytesOf(topology: Topology): Buffer {
  return Buffer.from(JSON.stringify(topology));
}

function tooLarge(part: string): Omission {
  return { part, why: `The topology would have more than ${LARGEST_TOPOLOGY / 1024 ** 2} MiB.` };
}

interface Step {
  readonly part: string;
  /** Without the part; the same where there is none of it. */
  readonly without: (topology: Topology) => Topology;
}

/** What can be missed most stands first. What is left at last is smaller than any limit. */
const LEAVING_OUT: readonly Step[] = [
  stackStep('files'),
  stackStep('environment'),
  { part: 'servers.userData', without: withoutUserData },
  stackStep('template'),
  listStep('images'),
  stackStep('resources'),
  { part: 'stack', without: withoutStack },
  listStep('securityGroups'),
  listStep('routers'),
  listStep('subnets'),
  listStep('networks'),
  listStep('keyPairs'),
  listStep('serverGroups'),
  listStep('ports'),
  listStep('volumes'),
  listStep('servers'),
  listStep('unprotected'),
  { part: 'omitted', without: (topology) => ({ ...topology, omitted: [] }) },
];

type ListName = Exclude<
  { [K in keyof Topology]-?: Topology[K] extends readonly unknown[] ? K : never }[keyof Topology],
  undefined
>;

function listStep(part: ListName): Step {
  return { part, without: (topology) => (topology[part].length === 0 ? topology : { ...topology, [part]: [] }) };
}

function stackStep(part: 'files' | 'environment' | 'template' | 'resources'): Step {
  const without = (topology: Topology): Topology => {
    const { stack } = topology;
    if (stack?.[part] === undefined || Object.keys(stack[part]).length === 0) return topology;
    return { ...topology, stack: part === 'resources' ? { ...stack, resources: [] } : lacking(stack, part) };
  };
  return { part: `stack.${part}`, without };
}

function withoutStack(topology: Topology): Topology {
  const { stack, ...rest } = topology;
  return stack === undefined ? topology : rest;
}

function lacking(stack: TopologyStack, part: 'files' | 'environment' | 'template'): TopologyStack {
  const { [part]: _gone, ...rest } = stack;
  return rest;
}

function withoutUserData(topology: Topology): Topology {
  if (!topology.servers.some(({ userData }) => userData !== undefined)) return topology;
  return { ...topology, servers: topology.servers.map(withoutOwn) };
}

function withoutOwn({ userData: _gone, ...server }: TopologyServer): TopologyServer {
  return server;
}
