import type { RestorePoint } from '../format/point.ts';
import { EMPTY_TOPOLOGY, type Topology } from '../format/topology.ts';
import { compareLists, type ListedView, type Names } from './compare-lists.ts';
import { diskViews } from './disk-views.ts';
import { networkViews } from './network-views.ts';
import { serverViews } from './server-views.ts';
import { stackViews } from './stack-views.ts';

/** One difference between two restore points of a group. */
export interface Change {
  /** `server`, `volume`, `security group`, … */
  readonly kind: string;
  /** As people call it: its name, or its id where it has none. */
  readonly name: string;
  readonly change: 'added' | 'removed' | 'changed';
  /** For people: `volume data grew from 10 to 20 GiB`. One line. */
  readonly text: string;
}

/**
 * What changed in a group from one restore point to another, in a fixed order: first what is backed up, then what it is built of. Order in
 * lists is no change. Of what either point could not read, nothing is said; user data and templates are not in the texts. Pure.
 */
export function changesBetween(before: RestorePoint, after: RestorePoint): Change[] {
  const topologies = [before.topology ?? UNKNOWN, after.topology ?? UNKNOWN] as const;
  const names = namesIn(topologies);
  const [earlier, later] = [viewsOf(before, names), viewsOf(after, names)];
  const told = toldOnce(...topologies);
  return earlier.flatMap((list, i) => {
    const other = later[i];
    return list === undefined || other === undefined ? [] : compareLists(told(list), told(other));
  });
}

/** Lists in a fixed order; those that the point does not know are undefined. */
function viewsOf(point: RestorePoint, names: Names): (ListedView | undefined)[] {
  const topology = point.topology ?? UNKNOWN;
  const lists = [...serverViews(topology, names), ...networkViews(topology, names), ...stackViews(topology)];
  return [...diskViews(point, names), ...lists.map((list) => known(list, topology))];
}

/** Names by id, of both points: an object is called the same in both, so that one that was renamed is no change of what refers to it. */
function namesIn(topologies: readonly Topology[]): Names {
  const named = topologies.flatMap((topology) => [
    ...[...topology.servers, ...topology.networks, ...topology.subnets, ...topology.securityGroups],
    ...[...topology.volumes, ...topology.serverGroups, ...topology.images],
  ]);
  return new Map(named.flatMap(({ id, name }) => (name === '' ? [] : [[id, name]])));
}

const UNKNOWN: Topology = { ...EMPTY_TOPOLOGY, readAt: '', omitted: [{ part: 'topology', why: '' }] };
/** What omitted fields are called in views. */
const LABELS: Readonly<Record<string, string>> = { userData: 'user data', floatingIps: 'floating address' };

function isKnown({ omitted }: Topology, list: string): boolean {
  return !omitted.some(({ part }) => part === 'topology' || part === list || list.startsWith(`${part}.`));
}

function known(view: ListedView, topology: Topology): ListedView | undefined {
  if (!isKnown(topology, view.part)) return undefined;
  const parts = topology.omitted.filter(({ part }) => part.startsWith(`${view.part}.`));
  const names = parts.map(({ part }) => part.slice(view.part.length + 1));
  return { ...view, lacking: new Set(names.map((name) => LABELS[name] ?? name)) };
}

/** Leaves out what is told by another change: disks and ports come and go with their servers, resources with their stack; a disk grows with its volume. */
function toldOnce(before: Topology, after: Topology): (list: ListedView) => ListedView {
  const both = [before, after];
  const idsOf = (list: 'servers' | 'volumes') => both.map((topology) => new Set(topology[list].map(({ id }) => id)));
  const inBoth = ([earlier, later]: readonly Set<string>[], id: string) =>
    earlier?.has(id) === true && later?.has(id) === true;
  const inOne = ([earlier, later]: readonly Set<string>[], id: string) => earlier?.has(id) !== later?.has(id);
  const [servers, volumes] = [idsOf('servers'), idsOf('volumes')];
  const tellsServers = both.every((topology) => isKnown(topology, 'servers'));
  const comesWithServer = (id: string) => tellsServers && inOne(servers, id);
  const portsOf = new Map(both.flatMap(({ ports }) => ports.map(({ id, server = '' }) => [id, server])));
  return (list) => {
    const keep = (isOwn: (id: string) => boolean) => list.objects.filter(({ id }) => isOwn(id));
    if (list.part === 'ports') return { ...list, objects: keep((id) => !comesWithServer(portsOf.get(id) ?? '')) };
    if (list.part === 'stack.resources' && (before.stack === undefined) !== (after.stack === undefined))
      return { ...list, objects: [] };
    if (list.part !== 'disks') return list;
    const objects = keep((id) => !comesWithServer(id.split('/')[0] ?? ''));
    return {
      ...list,
      objects: objects.map((disk) => (inBoth(volumes, volumeIn(disk.id)) ? { ...disk, fields: {} } : disk)),
    };
  };
}

function volumeIn(disk: string): string {
  return disk.slice(disk.indexOf('/') + 1);
}
