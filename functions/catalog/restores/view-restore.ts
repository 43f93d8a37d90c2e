import type { Caller } from '../caller.ts';
import type { Catalog } from '../catalog.ts';
import { endpointFor } from '../cloud/tenant-call.ts';
import { gibOf, type RestoredDisk, type RestoreRecord } from './restore-record.ts';

/** A restore as callers see it. Nothing in it is secret. */
export function viewRestore(record: RestoreRecord, progress: ReadonlyMap<string, number>, endpoints: object) {
  const { restore, vault, point, takenAt, server, startedAt, ended, build } = record;
  const disks = record.disks.map((disk) => viewDisk(disk, progress.get(disk.name), record));
  const sum = (of: (disk: (typeof disks)[number]) => number) => disks.reduce((total, disk) => total + of(disk), 0);
  return {
    ...{ restore, vault, point, takenAt, startedAt, state: ended?.outcome ?? 'copying' },
    ...(server === undefined ? {} : { server }),
    ...(ended === undefined ? {} : { endedAt: ended.at }),
    ...{ bytesDone: sum(({ bytesDone }) => bytesDone), bytesTotal: sum(({ bytesTotal = 0 }) => bytesTotal) },
    disks,
    ...(build === undefined ? {} : { build: serverRequest(record, build.server, build.boot) }),
    endpoints,
  };
}

function viewDisk(disk: RestoredDisk, bytes: number | undefined, record: RestoreRecord) {
  const { build } = record;
  const { name, size, becomes, state, image, bytesTotal, bytesDone, problem } = disk;
  const gib = gibOf(size);
  return {
    ...{ name, size, gib, becomes, state, bytesDone: bytes ?? bytesDone },
    ...(bytesTotal === undefined ? {} : { bytesTotal }),
    ...(image === undefined ? {} : { image, volume: volumeRequest(record, disk, image) }),
    ...(build === undefined ? {} : { device: deviceOf(disk, build.boot) }),
    ...(problem === undefined ? {} : { problem }),
  };
}

/** How Nova is told of the disk; of a volume its `uuid` is to be added. */
function deviceOf({ name, becomes, image }: RestoredDisk, boot: string) {
  const order = { boot_index: name === boot ? 0 : -1 };
  if (becomes === 'volume')
    return { ...order, source_type: 'volume', destination_type: 'volume', delete_on_termination: false };
  return {
    ...{ ...order, source_type: 'image', destination_type: 'local', delete_on_termination: true },
    ...(image === undefined ? {} : { uuid: image }),
  };
}

/** By its metadata a volume is found again by whoever lost the answer, or cleans up. */
function volumeRequest({ restore }: RestoreRecord, { size, volume }: RestoredDisk, imageRef: string) {
  const metadata = { ...(volume['metadata'] as object), ekko_restore: restore };
  return { ...volume, metadata, size: gibOf(size), imageRef };
}

/** By its tag a server is found again. */
function serverRequest({ disks, restore }: RestoreRecord, server: Readonly<Record<string, unknown>>, boot: string) {
  const root = disks.find(({ name }) => name === boot);
  const imageRef = root?.becomes === 'image' ? root.image : undefined;
  return { ...server, tags: [`ekko-restore-${restore}`], ...(imageRef === undefined ? {} : { imageRef }) };
}

/** What workflows need to go on with; they have no catalogue of services. */
export function endpointsOf({ endpoints: { nova, cinder } }: Pick<Catalog, 'endpoints'>, caller: Caller) {
  const placed = Object.entries({ nova, cinder }).flatMap(([name, url]) =>
    url === undefined ? [] : [[name, endpointFor(url, caller)]],
  );
  return Object.fromEntries(placed) as Record<string, string>;
}
