import { buildGuest } from '../../guest/build-guest.ts';
import { makeDirectory, qemuImg } from '../changed-blocks/running-qemu.ts';
import { type LibvirtGuest, startLibvirtGuest, untilAgentAnswers } from './libvirt-guest.ts';

/** A guest of libvirt with a kernel, a file system and a guest agent; its second disk, of 4 MiB, is blank and the test's. */
export async function bootGuest(): Promise<LibvirtGuest> {
  const image = await buildGuest();
  const directory = await makeDirectory();
  const root = directory.file('root.qcow2');
  await qemuImg('create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', image.base, root);
  const guest = await startLibvirtGuest({
    disks: [{ format: 'qcow2', image: root }, { format: 'qcow2' }],
    boot: { kernel: image.kernel, initrd: image.initrd },
  });
  const remove = async () => {
    await guest.remove();
    await directory.remove();
  };
  try {
    await untilAgentAnswers(guest);
  } catch (error) {
    await remove();
    throw error;
  }
  return { ...guest, remove };
}

/** `frozen` or `thawed`, as the guest's agent says. */
export async function freezeStatus({ virsh, uuid }: LibvirtGuest): Promise<string> {
  const question = ['qemu-agent-command', uuid, '--timeout', '20', '{"execute":"guest-fsfreeze-status"}'];
  return (JSON.parse(await virsh.run(question)) as { return: string }).return;
}
