import { EkkoError } from '#vault/errors.ts';
import type { SourceDisk } from '#vault/staging/changed-block-source.ts';
import { LARGEST_DISK } from '#vault/words.ts';
import { asObject, countOf, memberOf } from '../qemu/json-value.ts';
import { type Domain, type DomainDisk, parseDomain } from './domain.ts';
import { askMonitor, type BlockState, readBlockStates } from './guest-blocks.ts';
import type { Virsh } from './virsh.ts';

/** A disk of a running guest that can be protected. */
export interface ProtectedDisk extends DomainDisk, BlockState {
  /** As a restore point calls it. */
  readonly name: string;
}

/** What a restore point calls a disk: `<server>/<volume>`, `<server>/root` for a first disk that is local, else `<server>/<device>`. */
export function diskName({ uuid, disks }: Domain, disk: DomainDisk): string {
  const isRoot = disk.device === disks[0]?.device;
  return `${uuid}/${disk.volume ?? (isRoot ? 'root' : disk.device)}`;
}

export async function describeDomain(virsh: Virsh, uuid: string): Promise<Domain> {
  return parseDomain(await virsh.run(['dumpxml', uuid]));
}

/** The disks to protect, with what QEMU says of them; all writable ones without `names`. Throws `disk-unknown`, `qemu-failed`. */
export async function findDisks(
  virsh: Virsh,
  uuid: string,
  names: readonly string[] | undefined,
): Promise<readonly ProtectedDisk[]> {
  const domain = await describeDomain(virsh, uuid);
  const named = domain.disks.map((disk) => ({ ...disk, name: diskName(domain, disk) }));
  const unknown = names?.find((name) => !named.some((disk) => disk.name === name));
  if (unknown !== undefined || named.length === 0) {
    const there = named.map(({ name }) => name).join(', ') || 'none that is writable';
    throw new EkkoError('disk-unknown', `Server ${uuid} has no disk "${unknown ?? ''}". It has: ${there}`);
  }
  const chosen = names === undefined ? named : named.filter(({ name }) => names.includes(name));
  const states = await readBlockStates(virsh, uuid, chosen);
  return chosen.flatMap((disk, at) => (states[at] ? [checkSize({ ...disk, ...states[at] })] : []));
}

function checkSize(disk: ProtectedDisk): ProtectedDisk {
  if (disk.size <= LARGEST_DISK) return disk;
  throw new EkkoError('bad-input', `Disk ${disk.name} has ${disk.size} bytes: too large to be protected`);
}

export function toSourceDisk({ name, size, device, image }: ProtectedDisk): SourceDisk {
  return { name, size, origin: `${image} (${device})` };
}

/** From 9.1 on QEMU ends NBD connections in its main thread, wherever the disk is served. See `refuseUnsafeThreads`. */
const SAFE = 9.1;

/** Refuses disks that an I/O thread serves where QEMU may abort the guest when their export ends. Throws `qemu-failed`. */
export async function refuseThreads(virsh: Virsh, uuid: string, disks: readonly ProtectedDisk[]): Promise<void> {
  const threaded = disks.find((disk) => disk.hasThread);
  if (threaded === undefined) return;
  const answer = asObject(await askMonitor(virsh, uuid, 'query-version', {}), 'the answer to query-version');
  const version = asObject(memberOf(answer, 'qemu'), 'the version of QEMU');
  const [major, minor] = [countOf(version, 'major', 'the version'), countOf(version, 'minor', 'the version')];
  if (major > Math.floor(SAFE) || (major === Math.floor(SAFE) && minor >= 1)) return;
  throw new EkkoError(
    'qemu-failed',
    `Disk ${threaded.name} is served by an I/O thread, and QEMU ${major}.${minor} may abort the guest when a backup of such a disk ` +
      'ends. Leave the disk out, take its iothread away, or upgrade QEMU to 9.1.',
  );
}
