import { thawLeftBehind } from '../qemu/must-thaw.ts';
import { isQemuGone } from '../qemu/qmp-client.ts';
import { endBackup, resumeStopped } from './backup-job.ts';
import { libvirtAgentAddress } from './open-agent.ts';
import type { DomainContext } from './prepared-moment.ts';

/**
 * Clears away what an exporter that died left behind: thaws first, lets libvirt forget its checkpoints, ends its backup. A guest that its
 * scratch area stopped goes on. Bitmaps stay. A domain that is gone has nothing to clear but files.
 */
export async function cleanUpDomain({ place, settings, area }: DomainContext): Promise<void> {
  const agent = libvirtAgentAddress(place.uuid, place.virsh.uri);
  await thawLeftBehind(settings.stateDirectory, agent, settings.thaw);
  try {
    if (await endBackup(place, area.nbdSocket)) await resumeStopped(place);
  } catch (error) {
    if (!isQemuGone(error)) throw error;
  }
  await area.clear();
}
