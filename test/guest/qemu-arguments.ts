/** A disk of the guest. The first is its root; node names are `disk0`, `disk1`, … in the order given. */
export interface GuestDisk {
  readonly path: string;
  readonly format: 'qcow2' | 'raw';
  /** What the guest and QMP see as the disk's serial number. */
  readonly serial?: string;
}

export type Accelerator = 'kvm' | 'tcg';

export interface GuestSockets {
  readonly qmp: string;
  readonly agent: string;
  readonly commands: string;
}

export interface Machine {
  readonly kernel: string;
  readonly initrd: string;
  readonly disks: readonly GuestDisk[];
  readonly sockets: GuestSockets;
  /** File that takes what the guest says on its console. */
  readonly console: string;
  readonly accelerator: Accelerator;
}

/** Command line of QEMU for a machine. */
export function qemuArguments(machine: Machine): string[] {
  const cpu = machine.accelerator === 'kvm' ? 'host' : 'qemu64';
  return [
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    ...['-machine', `pc,accel=${machine.accelerator}`, '-cpu', cpu, '-m', '256'],
    ...['-kernel', machine.kernel, '-initrd', machine.initrd, '-append', 'console=ttyS0 quiet panic=-1'],
    ...['-chardev', `file,id=console,path=${escaped(machine.console)},append=on`, '-serial', 'chardev:console'],
    ...['-chardev', socket('monitor', machine.sockets.qmp), '-mon', 'chardev=monitor,mode=control'],
    ...['-device', 'virtio-serial-pci,id=ports'],
    ...['-chardev', socket('agent', machine.sockets.agent)],
    ...['-device', 'virtserialport,bus=ports.0,chardev=agent,name=org.qemu.guest_agent.0'],
    ...['-chardev', socket('commands', machine.sockets.commands)],
    ...['-device', 'virtserialport,bus=ports.0,chardev=commands,name=ekko.commands'],
    ...machine.disks.flatMap(diskArguments),
  ];
}

function socket(id: string, path: string): string {
  return `socket,id=${id},path=${escaped(path)},server=on,wait=off`;
}

/** In QEMU's option lists a comma is written twice. */
function escaped(value: string): string {
  return value.replaceAll(',', ',,');
}

function diskArguments(disk: GuestDisk, index: number): string[] {
  const node = `disk${index}`;
  const file = { driver: 'file', filename: disk.path, 'node-name': `${node}-file`, discard: 'unmap' };
  const format = { driver: disk.format, file: `${node}-file`, 'node-name': node, discard: 'unmap' };
  const device = { driver: 'virtio-blk-pci', drive: node, id: `virtio-${node}`, serial: disk.serial ?? node };
  return ['-blockdev', JSON.stringify(file), '-blockdev', JSON.stringify(format), '-device', JSON.stringify(device)];
}
