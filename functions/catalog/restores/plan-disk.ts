import type { PointDisk, RestorePoint } from '#vault/format/point.ts';
import type { Properties } from '#vault/format/topology.ts';
import type { RestoredDisk } from './restore-record.ts';

/** An image that is being made says so, for people who find it. */
export const UNFINISHED = { ekko_state: 'unfinished' } as const;
export const FINISHED = { ekko_state: 'finished' } as const;

const MOST_PROPERTIES = 60;
const LONGEST_VALUE = 255;
/**
 * Names of an image's properties that tell how the hypervisor is to treat it. Others decide who may read it; signatures are of the content
 * that it was; what begins with `os_glance` and `os_hash` is Glance's own.
 */
export const HYPERVISOR_PROPERTY =
  /^(hw_|os_(?!glance|hash|hidden)|img_(?!signature)|(kernel_id|ramdisk_id|architecture|hypervisor_type|vm_mode)$)/;

/** What becomes of a disk, as far as the point tells. `extra`: properties that the caller wants the image to have. */
export function planDisk(
  point: RestorePoint,
  { name, manifest, diskSize }: PointDisk,
  becomes: RestoredDisk['becomes'],
  extra: Properties,
): RestoredDisk {
  const { server, disk, volume } = placeOf(point, name);
  const people = `${server?.name ?? name.split('/')[0]} ${volume?.name || (disk?.device ?? name.split('/')[1])}`;
  return {
    ...{ name, manifest, size: diskSize, becomes, state: 'waiting', attempts: 0, bytesDone: 0 },
    imageName: `${people} (${point.id})`.slice(0, 255),
    properties: { ...propertiesOf(point, name), ...extra, ekko_point: point.id, ekko_disk: name },
    volume: {
      name: people.slice(0, 255),
      ...(volume?.description ? { description: volume.description } : {}),
      ...(volume?.type === undefined ? {} : { volume_type: volume.type }),
      ...(volume?.availabilityZone === undefined ? {} : { availability_zone: volume.availabilityZone }),
      metadata: { ...volume?.metadata, ekko_point: point.id, ekko_disk: name },
    },
  };
}

function placeOf({ topology }: RestorePoint, name: string) {
  const server = topology?.servers.find(({ disks }) => disks.some((each) => each.name === name));
  const disk = server?.disks.find((each) => each.name === name);
  return { server, disk, volume: topology?.volumes.find(({ id }) => id === disk?.volume) };
}

/** Those of the image that the disk was made of. */
function propertiesOf(point: RestorePoint, name: string): Properties {
  const { server, disk, volume } = placeOf(point, name);
  const image = point.topology?.images.find(({ id }) => id === server?.image?.id);
  const found = volume?.imageMetadata ?? (disk?.volume === undefined ? image?.properties : undefined) ?? {};
  const useful = Object.entries(found).filter(
    ([key, value]) => HYPERVISOR_PROPERTY.test(key) && value.length <= LONGEST_VALUE,
  );
  return Object.fromEntries(useful.slice(0, MOST_PROPERTIES));
}
