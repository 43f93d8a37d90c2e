import { accessSync, constants, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { environment, PlainError, run, step } from './run-step.mjs';

/** Programs that Ekko's demo and tests call, and the Debian packages that bring them. */
const programs = {
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  'qemu-storage-daemon': 'qemu-system-common',
  cpio: 'cpio',
  'mkfs.ext4': 'e2fsprogs',
  restic: 'restic',
  borg: 'borgbackup',
  nbdcopy: 'libnbd-bin',
  mariadbd: 'mariadb-server-core',
  // Not on any path: Debian keeps several versions side by side.
  '/usr/lib/postgresql/15/bin/postgres': 'postgresql-15',
  'ceph-mon': 'ceph-mon',
  'ceph-osd': 'ceph-osd',
  radosgw: 'radosgw',
  ceph: 'ceph-common',
  monmaptool: 'ceph-base',
  'keystone-manage': 'keystone',
  uwsgi_python3: 'uwsgi-plugin-python3',
  sqlite3: 'sqlite3',
  'swift-proxy-server': 'swift-proxy',
  'swift-account-server': 'swift-account',
  'swift-container-server': 'swift-container',
  'swift-object-server': 'swift-object',
  memcached: 'memcached',
  'barbican-manage': 'barbican-common',
  'mistral-server': 'mistral-common',
  'heat-all': 'heat-common',
  // Without the service that `zaqar-server` adds.
  'zaqar-server': 'zaqar-common',
  '/usr/lib/rabbitmq/bin/rabbitmq-server': 'rabbitmq-server',
  mariadb: 'mariadb-client-core',
  'mariadb-dump': 'mariadb-client',
  openstack: 'python3-openstackclient',
  mistral: 'python3-mistralclient',
  heat: 'python3-heatclient',
  barbican: 'python3-barbicanclient',
  'glance-manage': 'glance-common',
  'placement-manage': 'python3-placement',
  'nova-manage': 'nova-common',
  'neutron-server': 'neutron-common',
  'cinder-manage': 'cinder-common',
  '/usr/lib/python3/dist-packages/libvirt.py': 'python3-libvirt',
  libvirtd: 'libvirt-daemon',
  '/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so': 'libvirt-daemon-driver-qemu',
  virsh: 'libvirt-clients',
};

const libvirt = [
  ...['libvirtd', 'virsh', 'qemu-system-x86_64', 'qemu-img'],
  '/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so',
];
const keystone = ['keystone-manage', 'uwsgi_python3', 'sqlite3'];
const swift = [
  ...keystone,
  ...['proxy', 'account', 'container', 'object'].map((kind) => `swift-${kind}-server`),
  'memcached',
];

/** What a test may need, and the programs that it then calls. */
export const needs = {
  qemu: ['qemu-system-x86_64', 'qemu-img', 'qemu-storage-daemon'],
  guest: ['qemu-system-x86_64', 'qemu-img', 'qemu-storage-daemon', 'cpio', 'mkfs.ext4'],
  libvirt,
  restic: ['restic'],
  borg: ['borg'],
  nbdcopy: ['nbdcopy'],
  mariadb: ['mariadbd'],
  postgres: ['/usr/lib/postgresql/15/bin/postgres'],
  ceph: ['ceph-mon', 'ceph-osd', 'radosgw', 'ceph', 'monmaptool'],
  keystone,
  swift,
  'control-plane': [
    ...[...keystone, 'barbican-manage', 'mistral-server', 'heat-all'],
    ...['/usr/lib/rabbitmq/bin/rabbitmq-server', 'mariadbd', 'mariadb', 'mariadb-dump'],
    ...['openstack', 'mistral', 'heat', 'barbican'],
  ],
  // It keeps messages in Swift.
  zaqar: [...swift, 'zaqar-server', 'mariadbd', 'mariadb', 'mariadb-dump'],
  // On top of the control plane.
  compute: [
    ...['glance-manage', 'placement-manage', 'nova-manage', 'neutron-server', 'cinder-manage'],
    ...[...libvirt, '/usr/lib/python3/dist-packages/libvirt.py'],
  ],
};

/** Installs what is missing of the needs; returns why it could not, or undefined. */
export async function prepareDebianPackages(wanted) {
  const packages = [...new Set(missingPrograms(wanted).map((program) => programs[program]))];
  if (packages.length === 0) return undefined;
  if (!isDebian()) return `${packages.join(' ')}: to be installed by hand, this is not Debian`;
  if (process.getuid() !== 0) return `not installed, and only root can: apt-get install ${packages.join(' ')}`;
  await step(`Debian packages ${packages.join(' ')}`, () => withoutStarting(() => install(packages)));
  return undefined;
}

export function missingPrograms(wanted) {
  return [...new Set(wanted.flatMap((need) => needs[need]))].filter((program) => !onPath(program));
}

function onPath(program) {
  const folders = isAbsolute(program) ? ['/'] : environment.PATH.split(delimiter);
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), isAbsolute(program) ? constants.R_OK : constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** True on Debian and its children; `release`, if given, must be its version too. */
export function isDebian(release) {
  const { ID, ID_LIKE = '', VERSION_ID } = osRelease();
  if (!onPath('apt-get')) return false;
  if (release !== undefined) return ID === 'debian' && VERSION_ID === release;
  return ID === 'debian' || ID_LIKE.split(' ').includes('debian');
}

function osRelease() {
  try {
    const lines = readFileSync('/etc/os-release', 'utf8').matchAll(/^(\w+)="?([^"\n]*)"?$/gm);
    return Object.fromEntries(Array.from(lines, ([, key, value]) => [key, value]));
  } catch {
    return {};
  }
}

const policy = '/usr/sbin/policy-rc.d';

/** Installs servers without starting them: Debian asks this file first. One that is there already is left as it is. */
async function withoutStarting(work) {
  if (existsSync(policy)) return work();
  writeFileSync(policy, '#!/bin/sh\n# Only while the packages for tests are installed.\nexit 101\n', { mode: 0o755 });
  try {
    return await work();
  } finally {
    rmSync(policy, { force: true });
  }
}

async function install(packages) {
  const args = ['install', '-y', '-q', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120', ...packages];
  if (!(await known(packages))) await updateLists();
  try {
    await run('apt-get', args);
  } catch {
    // Lists that have aged name files that are gone.
    await updateLists();
    await run('apt-get', args);
  }
}

/** True when the package lists of this machine know all of these. */
export async function known(packages) {
  const policy = await run('apt-cache', ['policy', ...packages]);
  return [...policy.matchAll(/^ {2}Candidate: (?!\(none\))/gm)].length === packages.length;
}

export async function updateLists() {
  if (process.getuid() !== 0)
    throw new PlainError('the package lists are missing or old, and only root can run apt-get update');
  await run('apt-get', ['update', '-q', '-o', 'DPkg::Lock::Timeout=120']);
}
