import type { Topology } from '#vault/format/topology.ts';
import { plainText } from '../text/plain-text.ts';
import { formatCount, formatSize } from '../text/sizes.ts';
import { formatFields } from '../text/table.ts';

/** The topology of a point in short: what it was built of, what of it is not protected, what it lacks. */
export function describeTopology(topology: Topology): string[] {
  const { servers, networks, routers, securityGroups, keyPairs, stack } = topology;
  const named = (count: string, names: readonly string[]) =>
    names.length === 0 ? undefined : `${count}: ${plainText(listed(names), 200)}`;
  const counted = (list: readonly { readonly name: string }[], one: string, many?: string) =>
    named(
      formatCount(list.length, one, many),
      list.map(({ name }) => name),
    );
  return [
    '',
    'Built of (all of it: --topology)',
    ...formatFields([
      ['servers', named(formatCount(servers.length, 'server'), servers.map(serverWords))],
      ['volumes', named(formatCount(topology.volumes.length, 'volume'), topology.volumes.map(volumeWords))],
      ['networks', counted(networks, 'network')],
      ['routers', counted(routers, 'router')],
      ['security', counted(securityGroups, 'security group')],
      ['key pairs', counted(keyPairs, 'key pair')],
      [
        'stack',
        stack === undefined
          ? undefined
          : `${plainText(stack.name)}, ${formatCount(stack.resources.length, 'resource')}`,
      ],
    ]),
    ...topology.unprotected.map(({ why }) => `  NOT PROTECTED: ${plainText(why, 300)}`),
    ...topology.omitted.map(({ part, why }) => `  lacks ${plainText(part, 80)}: ${plainText(why, 300)}`),
  ];
}

const MOST_NAMES = 5;

function listed(names: readonly string[]): string {
  const more = names.length - MOST_NAMES;
  return names.slice(0, MOST_NAMES).join(', ') + (more > 0 ? ` +${more}` : '');
}

function serverWords({ name, flavor }: Topology['servers'][number]): string {
  return flavor === undefined ? name : `${name} (${flavor.name})`;
}

function volumeWords({ id, name, size, type }: Topology['volumes'][number]): string {
  return `${name === '' ? id : name} (${formatSize(size)}${type === undefined ? '' : `, ${type}`})`;
}
