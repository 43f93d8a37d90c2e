import { setTimeout as sleep } from 'node:timers/promises';
import { hasOwnBitmap } from '../changed-blocks/bitmaps.ts';
import type { MeasuredImages } from '../changed-blocks/measured-images.ts';
import type { Domain } from '../libvirt/domain.ts';
import { describeDomain, diskName } from '../libvirt/domain-disks.ts';
import { findServerImages } from '../libvirt/server-images.ts';
import type { Virsh } from '../libvirt/virsh.ts';
import { isQemuGone } from '../qemu/qmp-client.ts';
import { ApiError } from './api-error.ts';
import type { Caller } from './identity.ts';

const SERVER = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The error for a server that is not here, or is another project's: nobody learns which. */
export function unknownServer(server: string): ApiError {
  return new ApiError(404, 'server-unknown', `There is no server ${server} of your project on this host.`);
}

/** The domain of a server of the caller's own project, by Nova's own words in its description. Throws `ApiError` 404, 403. */
export async function findOwnDomain(
  virsh: Virsh,
  server: string,
  caller: Caller,
  roles: readonly string[],
): Promise<Domain> {
  if (!SERVER.test(server)) throw unknownServer(server);
  const domain = await describeDomain(virsh, server).catch((error: unknown) => {
    throw isQemuGone(error) ? unknownServer(server) : error;
  });
  if (domain.project === '' || domain.project !== caller.project) throw unknownServer(server);
  checkRole(caller, roles);
  return domain;
}

/** Throws `ApiError` 403 for a caller who may look at most. */
export function checkRole(caller: Caller, roles: readonly string[]): void {
  if (caller.roles.some((role) => roles.includes(role))) return;
  throw new ApiError(403, 'forbidden', `One of these roles is needed in the server's project: ${roles.join(', ')}.`);
}

/** What `GET /v1/servers/{server}` says; without effect on the guest. Sizes in bytes. `digests` of images, by the name of the disk on them. */
export async function describeServer(
  virsh: Virsh,
  domain: Domain,
  digests: ReadonlyMap<string, string> = new Map(),
): Promise<object> {
  const sizes = parseSizes(await virsh.run(['domblkinfo', domain.uuid, '--all']));
  // Of a stopped server the size of a disk elsewhere is not known.
  const known = domain.disks.filter(({ device }) => sizes.has(device));
  const disks = known.map((disk) => ({
    ...{ name: diskName(domain, disk), device: disk.device, kind: disk.volume === undefined ? 'local' : 'volume' },
    ...{ size: sizes.get(disk.device)?.capacity, bytesUsed: sizes.get(disk.device)?.allocation },
    ...(disk.volume === undefined ? { image: disk.base } : { volume: disk.volume }),
    ...digestOf(digests.get(diskName(domain, disk))),
  }));
  return { server: domain.uuid, name: domain.serverName, disks };
}

function digestOf(imageDigest: string | undefined): { readonly imageDigest?: string } {
  return imageDigest === undefined ? {} : { imageDigest };
}

/** How long a caller waits for images that are being read. Milliseconds. */
const PATIENCE_MS = 6_000;

/**
 * Digests of the images that a server's disks were built on, by name of the disk; '' for one that is still being read, none for one that cannot
 * be, or that is not needed, for the disk's changes are recorded. A server that is stopped has none.
 */
export async function digestsOf(
  virsh: Virsh,
  server: string,
  measured: MeasuredImages,
  patienceMs = PATIENCE_MS,
): Promise<ReadonlyMap<string, string>> {
  const images = await findServerImages(virsh, server, measured).catch(() => []);
  const found = images.filter((one) => !hasOwnBitmap(one));
  const late = new AbortController();
  const waiting = found.length === 0 ? Promise.resolve('') : sleep(patienceMs, '', { signal: late.signal });
  const digests = await Promise.all(
    found.map(async ({ disk, measure }): Promise<readonly [string, string | undefined]> => {
      const digest = measure().then(
        (one) => one.digest,
        () => undefined,
      );
      return [disk, await Promise.race([digest, waiting])];
    }),
  );
  waiting.catch(() => undefined);
  late.abort();
  return new Map(digests.flatMap(([disk, digest]) => (digest === undefined ? [] : [[disk, digest]])));
}

/** The table of `virsh domblkinfo --all`: target, capacity, allocation, physical. */
function parseSizes(table: string): ReadonlyMap<string, { readonly capacity: number; readonly allocation: number }> {
  const rows = table.matchAll(/^\s*(\S+)\s+(\d+)\s+(\d+)\s+(?:\d+|-)\s*$/gm);
  return new Map(
    Array.from(rows, ([, device = '', capacity, allocation]) => [
      device,
      { capacity: Number(capacity), allocation: Number(allocation) },
    ]),
  );
}
