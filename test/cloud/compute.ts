import { openAsBlob } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { buildGuest } from '../guest/build-guest.ts';
import { runTool } from '../guest/run-tool.ts';
import { askService } from './call-service.ts';
import { type CinderSettings, useCinder } from './cinder.ts';
import { type GlanceSettings, useGlance } from './glance.ts';
import { type KeystoneSettings, logIn, useKeystone } from './keystone.ts';
import { type NeutronSettings, useNeutron } from './neutron.ts';
import { type NovaSettings, useNova } from './nova.ts';
import { type CloudSettings, useCloud } from './openstack.ts';
import { type PlacementSettings, usePlacement } from './placement.ts';
import { untilItAnswers, useService } from './service.ts';

/** What a cloud has for servers, and what a server can be booted from; anybody may use both. */
export interface ComputeSettings {
  readonly glance: GlanceSettings;
  readonly placement: PlacementSettings;
  readonly neutron: NeutronSettings;
  readonly cinder: CinderSettings;
  readonly nova: NovaSettings;
  /** The test guest, with its guest agent: 512 MiB. */
  readonly imageId: string;
  /** 1 processor, 256 MiB of memory, 1 GiB of disk. */
  readonly flavorId: string;
}

/** MiB of memory, GiB of disk. */
const GUEST = { vcpus: 1, ram: 256, disk: 1 };

/** Glance, Placement, Neutron, Cinder and Nova, shared by the tests of a run. */
export function useCompute(): Promise<ComputeSettings> {
  return useService('compute', startCompute);
}

/** A whole cloud. */
export async function useCloudWithServers(): Promise<CloudSettings & ComputeSettings> {
  const [cloud, compute] = await Promise.all([useCloud(), useCompute()]);
  return { ...cloud, ...compute };
}

async function startCompute(folder: string): Promise<ComputeSettings> {
  const [keystone, glance, placement, neutron, cinder, nova] = await Promise.all([
    useKeystone(),
    useGlance(),
    usePlacement(),
    useNeutron(),
    useCinder(),
    useNova(),
  ]);
  const [imageId, flavorId] = await Promise.all([
    uploadGuest(folder, keystone, glance),
    addFlavor(keystone, nova),
    untilHostsHaveRoom(1, { keystone, placement, nova }),
  ]);
  return { glance, placement, neutron, cinder, nova, imageId, flavorId };
}

/** The guest has no boot loader: its kernel and initrd are images of their own. */
async function uploadGuest(folder: string, keystone: KeystoneSettings, glance: GlanceSettings): Promise<string> {
  const { kernel, initrd, base } = await buildGuest();
  const disk = join(folder, 'disk.qcow2');
  await mkdir(folder, { recursive: true });
  await runTool('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', base, disk]);
  const { token } = await logIn(keystone, keystone.admin);
  const upload = (name: string, format: string, file: string, more: object = {}) =>
    uploadImage(
      `${glance.origin}/v2/images`,
      token,
      { name, disk_format: format, ...containerOf(format), ...more },
      file,
    );
  const [kernel_id, ramdisk_id] = await Promise.all([
    upload('ekko-guest-kernel', 'aki', kernel),
    upload('ekko-guest-initrd', 'ari', initrd),
  ]);
  const boot = { kernel_id, ramdisk_id, os_command_line: 'console=ttyS0 quiet panic=-1' };
  return upload('ekko-guest', 'qcow2', disk, { ...boot, hw_qemu_guest_agent: 'yes', os_require_quiesce: 'yes' });
}

const containerOf = (format: string) => ({ container_format: format === 'qcow2' ? 'bare' : format });

async function uploadImage(images: string, token: string, image: object, file: string): Promise<string> {
  const { id } = await askService<{ id: string }>(token, 'POST', images, { visibility: 'public', ...image });
  const bytes = new Uint8Array(await (await openAsBlob(file)).arrayBuffer());
  await askService(token, 'PUT', `${images}/${id}/file`, bytes);
  return id;
}

type Hosted = Pick<CloudSettings & ComputeSettings, 'keystone' | 'placement' | 'nova'>;

/** A host is up before Nova has mapped it, and before Placement knows what it has: a server booted then would fail. */
export async function untilHostsHaveRoom(hosts: number, { keystone, placement, nova }: Hosted): Promise<void> {
  const { token } = await logIn(keystone, keystone.admin);
  const wanted = `${placement.origin}/allocation_candidates?resources=VCPU:1,MEMORY_MB:${GUEST.ram},DISK_GB:${GUEST.disk}`;
  const version = { 'openstack-api-version': 'placement 1.10' };
  await untilItAnswers(async () => {
    const { hypervisors } = await askService<{ hypervisors: unknown[] }>(token, 'GET', `${nova.url}/os-hypervisors`);
    type Found = { allocation_requests: unknown[] };
    const found = await askService<Found>(token, 'GET', wanted, undefined, version);
    if (Math.min(hypervisors.length, found.allocation_requests.length) < hosts) throw new Error('A host has no room.');
  }, 300);
}

async function addFlavor(keystone: KeystoneSettings, nova: NovaSettings): Promise<string> {
  const { token } = await logIn(keystone, keystone.admin);
  const flavor = { name: 'ekko-guest', ...GUEST };
  type Made = { flavor: { id: string } };
  return (await askService<Made>(token, 'POST', `${nova.url}/flavors`, { flavor })).flavor.id;
}
