import type { TopologyDisk } from '#vault/format/topology.ts';
import type { WantedDisk } from '../group/find-disks.ts';
import type { FoundServer } from './read-servers.ts';
import type { FoundVolume } from './read-volumes.ts';

type Server = Pick<FoundServer, 'id' | 'image' | 'flavor' | 'attached'> & { readonly rootDevice: string | undefined };

const GIB = 1024 ** 3;

/** The disks of a server, in the order of their devices: those that are backed up, as its exporter sees them, and all others that the cloud knows. */
export function disksOf(
  server: Server,
  wanted: readonly WantedDisk[],
  volumes: readonly FoundVolume[],
): TopologyDisk[] {
  const byId = new Map(volumes.map((volume) => [volume.id, volume]));
  const ends = new Map(server.attached.map(({ volume, deleteOnTermination }) => [volume, deleteOnTermination]));
  const known = wanted.map((disk): TopologyDisk => {
    const device = deviceOf(server, disk, byId);
    const ending = ends.get(disk.volume ?? '');
    return {
      ...{ name: disk.name, size: disk.size, wanted: true },
      ...(disk.volume === undefined ? {} : { volume: disk.volume }),
      ...(device === undefined ? {} : { device }),
      ...(ending === undefined ? {} : { deleteOnTermination: ending }),
    };
  });
  const disks = [...known, ...leftOut(server, known, byId)].sort(byDevice);
  const boot = bootDisk(server, disks, byId);
  return disks.map((disk) => (disk === boot ? { ...disk, bootIndex: 0 } : disk));
}

/** What the run was not to back up. */
function leftOut(server: Server, known: readonly TopologyDisk[], volumes: ReadonlyMap<string, FoundVolume>) {
  const there = new Set(known.map(({ volume }) => volume));
  const others = server.attached
    .filter(({ volume }) => !there.has(volume))
    .map(({ volume, deleteOnTermination }): TopologyDisk => {
      const { size, devices } = volumes.get(volume) ?? {};
      const device = devices?.get(server.id);
      return {
        ...{ name: `${server.id}/${volume}`, volume, wanted: false },
        ...(size === undefined ? {} : { size }),
        ...(device === undefined || device === '' ? {} : { device }),
        ...(deleteOnTermination === undefined ? {} : { deleteOnTermination }),
      };
    });
  const root = `${server.id}/root`;
  if (server.image === undefined || known.some(({ name }) => name === root)) return others;
  const size = (server.flavor?.diskGiB ?? 0) * GIB;
  return [{ name: root, wanted: false, ...(size === 0 ? {} : { size }) }, ...others];
}

/** Where its exporter sees the disk; Cinder tells only where it was asked to be. */
function deviceOf({ id }: Server, disk: WantedDisk, volumes: ReadonlyMap<string, FoundVolume>): string | undefined {
  if (disk.device !== undefined) return disk.device.startsWith('/') ? disk.device : `/dev/${disk.device}`;
  const device = volumes.get(disk.volume ?? '')?.devices.get(id);
  return device === '' ? undefined : device;
}

/** The local root disk; or the volume that a server without an image was booted from. */
function bootDisk(server: Server, disks: readonly TopologyDisk[], volumes: ReadonlyMap<string, FoundVolume>) {
  if (server.image !== undefined) return disks.find(({ name }) => name === `${server.id}/root`);
  const attached = disks.filter(({ volume }) => volume !== undefined);
  return (
    attached.find(({ device }) => device !== undefined && device === server.rootDevice) ??
    attached.find(({ volume }) => volumes.get(volume ?? '')?.bootable === true) ??
    attached[0]
  );
}

/** `/dev/vdb` before `/dev/vdaa`; a local root disk first of all. */
function byDevice(a: TopologyDisk, b: TopologyDisk): number {
  const [left, right] = [a, b].map(placeOf);
  return left === right ? 0 : (left ?? '') < (right ?? '') ? -1 : 1;
}

function placeOf({ name, device = '' }: TopologyDisk): string {
  if (name.endsWith('/root')) return '';
  return device === '' ? `~${name}` : `${String(device.length).padStart(3, '0')}${device}`;
}
