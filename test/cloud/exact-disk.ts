import { join } from 'node:path';
import { expect } from 'vitest';
import { runTool } from '../guest/run-tool.ts';
import type { useCloudWithServers } from './compute.ts';
import { doInGuest, type Server, virsh } from './server.ts';
import type { Point, Tenant } from './tenant.ts';

/** A disk and the image that holds it; nobody writes to it meanwhile. */
export interface StillDisk {
  /** As in restore points: `<server>/<name>`. */
  readonly name: string;
  readonly image: string;
}

/** The disk of a server that was built on an image. */
export function rootDisk({ nova }: Cloud, { id }: Server): StillDisk {
  return { name: `${id}/root`, image: join(nova.instances, id, 'disk') };
}

/**
 * A backup of the policy's one server while it stands still, all that it has written being on its disks; the point holds these disks as they are.
 * `cloud`: with the hypervisor that has the server.
 */
export async function backUpExactly(
  { cloud, tenant, vault }: { readonly cloud: Cloud; readonly tenant: Tenant; readonly vault: string },
  policy: string,
  { id }: Server,
  ...disks: readonly StillDisk[]
): Promise<Point> {
  await doInGuest(cloud, id, 'sync');
  await virsh(cloud, 'suspend', id);
  const point = await tenant.backUp(policy);
  expect(point).toMatchObject({ disks: disks.length, missing: [] });
  await expectExact(tenant, vault, ...disks);
  await virsh(cloud, 'resume', id);
  return point;
}

type Cloud = Awaited<ReturnType<typeof useCloudWithServers>>;

/** What the vault's newest point has of the disks is, byte for byte, what they hold, and as long. */
export async function expectExact(tenant: Tenant, vault: string, ...disks: readonly StillDisk[]): Promise<void> {
  for (const { name, image } of disks) {
    const restored = await tenant.restoredDisk(vault, name);
    await runTool('qemu-img', ['compare', '--force-share', '-f', 'raw', restored, image]);
    expect([name, await sizeOf(restored)]).toEqual([name, await sizeOf(image)]);
  }
}

async function sizeOf(image: string): Promise<number> {
  const told = await runTool('qemu-img', ['info', '--force-share', '--output=json', image]);
  return (JSON.parse(told) as { 'virtual-size': number })['virtual-size'];
}
