import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { delimiter, join } from 'node:path';
import { runTool } from '../guest/run-tool.ts';
import { startAnswering } from './answering-daemon.ts';
import { useService } from './service.ts';

/** A host of guests: a libvirt of its own, and a place for what must live beside it. */
export interface HypervisorSettings {
  /** For `virsh --connect` and Nova; can be reached from everywhere on this machine. */
  readonly uri: string;
  /** The folder of its libvirt's socket, `libvirt-sock`. */
  readonly sockets: string;
  /** Put before a command that is to see the host's mounts and processes. All of them end with the host. */
  readonly enter: readonly [string, ...string[]];
  /** `PATH` for what runs in there. */
  readonly path: string;
  /** What NFS shares are to it: `127.0.0.1:<this folder>` can be mounted, and is this folder. */
  readonly share: string;
}

/** Shared by the tests of a run. */
export function useHypervisor(): Promise<HypervisorSettings> {
  return useService('hypervisor', (folder) => startHypervisor(folder, hostname()));
}

/** Another one, which libvirt takes for a machine called `name`. It sees the files of this machine, as over a share. */
export function useSecondHypervisor(name: string): Promise<HypervisorSettings> {
  return useService('second-hypervisor', (folder) => startHypervisor(folder, name));
}

/** Where libvirt has its things, whatever its configuration says. */
const PLACES = { etc: '/etc/libvirt', lib: '/var/lib/libvirt', cache: '/var/cache/libvirt' } as const;

async function startHypervisor(folder: string, name: string): Promise<HypervisorSettings> {
  await Promise.all(Object.values(PLACES).map((place) => mkdir(place, { recursive: true })));
  const own = [...Object.keys(PLACES), 'bin', 'share', 'sockets'];
  await Promise.all(own.map((name) => mkdir(join(folder, name))));
  await writeConfigurations(folder);
  await writePrograms(join(folder, 'bin'));
  const enter = await startNamespaces(folder, name);
  const sockets = join(folder, 'sockets');
  const uri = `qemu+unix:///system?socket=${sockets}/libvirt-sock`;
  const server = ['libvirtd', '--config', join(folder, 'etc', 'libvirtd.conf'), '--pid-file', join(folder, 'libvirtd')];
  const answers = () => runTool('virsh', ['--connect', uri, 'capabilities']);
  await startAnswering(folder, 'libvirtd', [...enter, ...server], answers);
  const { PATH = '' } = process.env;
  return { uri, sockets, enter, path: [join(folder, 'bin'), PATH].join(delimiter), share: join(folder, 'share') };
}

/** Libvirt insists that the user exists whom Debian's configuration names, even where another one names root. */
async function addLibvirtsUser(folder: string): Promise<void> {
  const [passwd, group] = [await readFile('/etc/passwd', 'utf8'), await readFile('/etc/group', 'utf8')];
  const add = (text: string, line: string) => (/^libvirt-qemu:/m.test(text) ? text : `${text}${line}\n`);
  await writeFile(join(folder, 'passwd'), add(passwd, 'libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin'));
  await writeFile(join(folder, 'group'), add(group, 'libvirt-qemu:x:64055:'));
}

async function writeConfigurations(folder: string): Promise<void> {
  // By the identity of the machine two hosts would be one, and no guest could be moved between them while it runs.
  const libvirtd = `host_uuid = "${randomUUID()}"
unix_sock_dir = "${folder}/sockets"
auth_unix_rw = "none"
auth_unix_ro = "none"
log_outputs = "3:stderr"
`;
  // Everything belongs to root, without cgroups, device nodes or security labels of a guest's own.
  const qemu = `user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
remember_owner = 0
stdio_handler = "file"
`;
  await writeFile(join(folder, 'etc', 'libvirtd.conf'), libvirtd);
  await writeFile(join(folder, 'etc', 'qemu.conf'), qemu);
}

/** `sudo`, because everybody is root already, and `mount`, because there is no NFS in the kernel, but a folder mounted twice is alike. */
async function writePrograms(bin: string): Promise<void> {
  const sudo = `#!/bin/sh
case "$1" in *-rootwrap) shift 2 ;; esac
exec "$@"
`;
  const mount = `#!/bin/sh
if [ "$1 $2" = '-t nfs' ]; then
  while [ $# -gt 2 ]; do shift; done
  exec /bin/mount --bind "\${1#*:}" "$2"
fi
exec /bin/mount "$@"
`;
  // Cinder tries whether it is there.
  const programs = { sudo, mount, 'mount.nfs': '#!/bin/sh\n' };
  for (const [name, text] of Object.entries(programs)) {
    await writeFile(join(bin, name), text);
    await chmod(join(bin, name), 0o755);
  }
}

/**
 * Mounts, processes and a name of the host's own. A guest's QEMU is nobody's child, but with the first process of its namespace all the
 * others end, and with them the mounts.
 */
async function startNamespaces(folder: string, name: string): Promise<[string, ...string[]]> {
  const mounts = Object.entries(PLACES).map(([own, place]) => `mount --bind "$0/${own}" ${place}`);
  await addLibvirtsUser(folder);
  const script = `set -e
echo "$1" >/proc/sys/kernel/hostname
mount -t tmpfs tmpfs /run
mkdir /run/libvirt /run/lock
${mounts.join('\n')}
mount --bind "$0/passwd" /etc/passwd
mount --bind "$0/group" /etc/group
trap 'exit 0' TERM
touch "$0/mounted"
while :; do sleep 3600 & wait; done
`;
  const flags = ['--mount', '--propagation', 'private', '--uts', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const mounted = async () => {
    if (!existsSync(join(folder, 'mounted'))) throw new Error('It has not mounted its folders.');
  };
  const command = ['unshare', ...flags, 'sh', '-c', script, folder, name] as const;
  const pid = await startAnswering(folder, 'namespaces', command, mounted);
  const spaces = { mount: 'mnt', uts: 'uts', pid: 'pid_for_children' };
  return ['nsenter', ...Object.entries(spaces).map(([option, space]) => `--${option}=/proc/${pid}/ns/${space}`)];
}
