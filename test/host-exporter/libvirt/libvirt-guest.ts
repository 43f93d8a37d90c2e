import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LibvirtSourceOptions } from '../../../host-exporter/libvirt/libvirt-settings.ts';
import { type LibvirtSource, openLibvirtSource } from '../../../host-exporter/libvirt/libvirt-source.ts';
import { openVirsh, type Virsh } from '../../../host-exporter/libvirt/virsh.ts';
import { useHypervisor } from '../../cloud/hypervisor.ts';
import { makeDirectory, qemuImg, type TestDirectory } from '../changed-blocks/running-qemu.ts';

/** A disk of a guest to be made: empty, unless an image is given. */
export interface GuestDisk {
  readonly format: 'qcow2' | 'raw';
  readonly size?: number;
  readonly image?: string;
  /** The volume's id, for a Cinder volume. */
  readonly serial?: string;
}

export interface GuestOptions {
  readonly disks: readonly GuestDisk[];
  readonly project?: string;
  /** Path of a kernel and an initrd to boot; without, the guest is paused from the start, and only the test writes to its disks. */
  readonly boot?: { readonly kernel: string; readonly initrd: string };
  /** More devices, as libvirt describes them. */
  readonly devices?: string;
}

/** A domain of the run's libvirt, as Nova would have made it. */
export interface LibvirtGuest {
  readonly uuid: string;
  readonly uri: string;
  readonly directory: TestDirectory;
  readonly images: readonly string[];
  /** For the test's own commands. */
  readonly virsh: Virsh;
  /** Runs a qemu-io command on a disk by its number, e.g. `write -P 0xab 64k 64k`. */
  io(disk: number, command: string): Promise<void>;
  /** Named bitmaps of the guest, `<image> <bitmap>` each, with ` inconsistent` where it is. */
  bitmaps(): Promise<readonly string[]>;
  /** As a crash does that loses them. */
  removeBitmaps(): Promise<void>;
  open(more?: Partial<LibvirtSourceOptions>): LibvirtSource;
  options(more?: Partial<LibvirtSourceOptions>): LibvirtSourceOptions;
  /** Makes it known to libvirt again, as it was. */
  define(): Promise<void>;
  /** Starts it again after a stop, as it was. */
  start(): Promise<void>;
  remove(): Promise<void>;
}

const MIB = 1024 * 1024;

export async function startLibvirtGuest(options: GuestOptions): Promise<LibvirtGuest> {
  const [{ uri }, directory] = [await useHypervisor(), await makeDirectory()];
  const virsh = openVirsh({ uri, program: 'virsh' });
  const uuid = randomUUID();
  const images: string[] = [];
  for (const [at, disk] of options.disks.entries()) images.push(disk.image ?? (await makeImage(directory, at, disk)));
  const file = directory.file('domain.xml');
  await writeFile(file, describe(uuid, options, images));
  const define = async () => void (await virsh.run(['define', file]));
  await define();
  const start = async () => void (await virsh.run(['start', uuid, ...(options.boot ? [] : ['--paused'])]));
  await start();

  const monitor = async (question: object) =>
    (JSON.parse(await virsh.run(['qemu-monitor-command', uuid, JSON.stringify(question)])) as { return: unknown })
      .return;

  type Bitmap = { name?: string; inconsistent?: boolean };
  type Node = { file: string; drv: string; 'node-name': string; 'dirty-bitmaps'?: Bitmap[] };
  const named = (node: Node) => (node['dirty-bitmaps'] ?? []).filter(({ name }) => name !== undefined);
  async function diskNodes(): Promise<Node[]> {
    const nodes = (await monitor({ execute: 'query-named-block-nodes', arguments: { flat: true } })) as Node[];
    return nodes.filter(({ drv, file: path }) => drv === 'qcow2' && images.includes(path));
  }

  async function bitmaps(): Promise<readonly string[]> {
    const qcow2 = await diskNodes();
    const line = (node: Node) =>
      named(node).map((one) => `${node.file.split('/').at(-1)} ${one.name}${one.inconsistent ? ' inconsistent' : ''}`);
    return qcow2.flatMap(line).toSorted();
  }

  async function removeBitmaps(): Promise<void> {
    for (const node of await diskNodes())
      for (const { name } of named(node))
        await monitor({ execute: 'block-dirty-bitmap-remove', arguments: { node: node['node-name'], name } });
  }

  async function io(disk: number, command: string): Promise<void> {
    const line = `qemu-io -d /machine/peripheral/virtio-disk${disk}/virtio-backend "${command}"`;
    const said = await virsh.run(['qemu-monitor-command', uuid, '--hmp', line]);
    if (/failed|error|conflict/i.test(said)) throw new Error(`${line}: ${said}`);
  }

  const settings = (more: Partial<LibvirtSourceOptions> = {}): LibvirtSourceOptions => ({
    ...{ connection: { uri, program: 'virsh' }, domain: uuid },
    ...{ scratchDirectory: directory.scratch, stateDirectory: directory.state, scratchLowWater: MIB },
    // A busy machine is no reason to give up.
    ...{ freezeMs: 60_000, watchdogMs: 180_000, thaw: { answerMs: 30_000, pauseMs: 200, patienceMs: 120_000 } },
    ...more,
  });

  async function remove(): Promise<void> {
    // It may be stopped, or gone.
    await virsh.run(['destroy', uuid]).catch(() => undefined);
    await virsh.run(['undefine', uuid, '--checkpoints-metadata']).catch(() => undefined);
    await directory.remove();
  }

  return {
    ...{ uuid, uri, directory, images, virsh, io, bitmaps, removeBitmaps, define, start, remove },
    open: (more) => openLibvirtSource(settings(more)),
    options: settings,
  };
}

async function makeImage(directory: TestDirectory, at: number, { format, size = 4 * MIB }: GuestDisk): Promise<string> {
  const image = directory.file(`disk${at}.${format}`);
  await qemuImg('create', '-q', '-f', format, image, String(size));
  return image;
}

function describe(
  uuid: string,
  { disks, project = 'p1', boot, devices = '' }: GuestOptions,
  images: readonly string[],
) {
  const disk = ({ format, serial }: GuestDisk, at: number) => `<disk type='file' device='disk'>
    <driver name='qemu' type='${format}' cache='${boot ? 'none' : 'writeback'}'/><source file='${images[at]}'/>
    <target dev='vd${'abcdef'[at]}' bus='virtio'/>${serial === undefined ? '' : `<serial>${serial}</serial>`}</disk>`;
  const system =
    boot === undefined
      ? ''
      : `<kernel>${boot.kernel}</kernel><initrd>${boot.initrd}</initrd><cmdline>console=ttyS0 quiet panic=-1</cmdline>`;
  return `<domain type='qemu'><name>guest-${uuid.slice(0, 8)}</name><uuid>${uuid}</uuid>
  <memory unit='MiB'>${boot ? 256 : 64}</memory><vcpu>1</vcpu>
  <metadata><nova:instance xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'><nova:name>web</nova:name>
    <nova:owner><nova:user uuid='u1'>user</nova:user><nova:project uuid='${project}'>project</nova:project></nova:owner>
  </nova:instance></metadata>
  <os><type arch='x86_64' machine='q35'>hvm</type>${system}</os><features><acpi/></features>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
  ${disks.map(disk).join('\n')}
  <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
  <serial type='null'/>${devices}</devices></domain>`;
}

/** Resolves when the guest's agent answers. */
export async function untilAgentAnswers({ virsh, uuid }: LibvirtGuest): Promise<void> {
  for (const end = Date.now() + 120_000; ; await sleep(200)) {
    try {
      await virsh.run(['qemu-agent-command', uuid, '--timeout', '5', '{"execute":"guest-ping"}']);
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}
