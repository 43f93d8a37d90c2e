import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { runTool } from '../guest/run-tool.ts';
import { askService, callService } from './call-service.ts';
import type { ComputeSettings } from './compute.ts';

/** A server that runs. */
export interface Server {
  readonly id: string;
  /** libvirt's name for it, `instance-<8 digits>`; libvirt knows it by its id, too. */
  readonly domain: string;
}

type Compute = Pick<ComputeSettings, 'nova' | 'cinder' | 'imageId' | 'flavorId'>;
/** What Nova is at work on with a server; null: nothing. */
export const TASK = 'OS-EXT-STS:task_state';

type StatusOf = 'server' | 'volume';

/** The first version that boots servers without networks. */
const VERSION = { 'openstack-api-version': 'compute 2.37' };

/** Boots the test guest for the owner of `token`; resolves when its guest agent answers, 10 to 20 s later. */
export async function bootServer(compute: Compute, token: string, name: string): Promise<Server> {
  const { nova, imageId, flavorId } = compute;
  const server = { name, imageRef: imageId, flavorRef: flavorId, networks: 'none' };
  type Made = { server: { id: string } };
  const { id } = (await askService<Made>(token, 'POST', `${nova.url}/servers`, { server }, VERSION)).server;
  await untilStatus(token, `${nova.url}/servers/${id}`, 'server', 'ACTIVE');
  const domain = (await virsh(compute, 'domname', id)).trim();
  await untilAgentAnswers(compute, id);
  return { id, domain };
}

/** Removes a server, and resolves when it is gone, as it may be already. Throws what Nova says of one that it cannot remove. */
export async function deleteServer({ nova }: Compute, token: string, { id }: Server): Promise<void> {
  const url = `${nova.url}/servers/${id}`;
  const answer = await callService(token, 'DELETE', url);
  if (answer.status !== 204 && answer.status !== 404) throw new Error(`DELETE ${url}: ${JSON.stringify(answer)}`);
  type Found = { readonly server: { readonly status: string; readonly fault?: object; readonly [TASK]: unknown } };
  for (;;) {
    const { status, body } = await callService<Found>(token, 'GET', url);
    if (status === 404) return;
    if (status !== 200) throw new Error(`GET ${url}: ${status} ${JSON.stringify(body)}`);
    const { status: state, fault, [TASK]: task } = body.server;
    if (state === 'ERROR' && task === null) {
      throw new Error(`Nova cannot remove ${id}: ${JSON.stringify(fault)}; ${await lastErrors(nova, id)}`);
    }
    await pause(200);
  }
}

/** What libvirt has refused Nova lately: it tells owners of servers that there was something, and no more. */
async function lastErrors({ configuration }: Compute['nova'], server: string): Promise<string> {
  const log = await readFile(join(dirname(configuration), 'compute.log'), 'utf8');
  const errors = log.split('\n').filter((line) => line.includes(server) && line.includes('libvirtError'));
  return errors.slice(-2).join('; ');
}

/** Makes an empty volume of so many GiB and attaches it to the server; resolves to its id when the server has it. */
export async function attachVolume(compute: Compute, token: string, server: Server, gib: number): Promise<string> {
  const { nova, cinder } = compute;
  const project = await projectOf(token, `${nova.url}/servers/${server.id}`);
  const volumes = `${cinder.url}/${project}/volumes`;
  const { volume } = await askService<{ volume: { id: string } }>(token, 'POST', volumes, { volume: { size: gib } });
  await reattachVolume(compute, token, server, volume.id);
  return volume.id;
}

/** Attaches a volume that is there; resolves when the server has it. */
export async function reattachVolume(compute: Compute, token: string, { id }: Server, volume: string): Promise<void> {
  const { nova, cinder } = compute;
  const url = `${cinder.url}/${await projectOf(token, `${nova.url}/servers/${id}`)}/volumes/${volume}`;
  await untilStatus(token, url, 'volume', 'available');
  const body = { volumeAttachment: { volumeId: volume } };
  await askService(token, 'POST', `${nova.url}/servers/${id}/os-volume_attachments`, body);
  await untilStatus(token, url, 'volume', 'in-use');
}

async function projectOf(token: string, url: string): Promise<string> {
  return (await askService<{ server: { tenant_id: string } }>(token, 'GET', url)).server.tenant_id;
}

export async function untilStatus(token: string, url: string, kind: StatusOf, wanted: string): Promise<void> {
  for (let status = ''; status !== wanted; await pause(200)) {
    const found = (await askService<Record<StatusOf, { status: string }>>(token, 'GET', url))[kind];
    status = found.status;
    if (/error/i.test(status)) throw new Error(`${kind} ${url} has failed: ${JSON.stringify(found)}`);
  }
}

/** Runs `virsh` on the cloud's hypervisor; what it printed. */
export function virsh({ nova }: Pick<Compute, 'nova'>, ...command: string[]): Promise<string> {
  return runTool('virsh', ['--quiet', '--connect', nova.hypervisor.uri, ...command]);
}

/** Asks the guest agent of a server; its answer. */
export async function askAgent(
  compute: Pick<Compute, 'nova'>,
  id: string,
  execute: string,
  more: object = {},
): Promise<unknown> {
  const question = JSON.stringify({ execute, ...more });
  const answer = JSON.parse(await virsh(compute, 'qemu-agent-command', id, question)) as { return: unknown };
  return answer.return;
}

/** Has a shell of the guest do something; resolves at its end, and throws when it fails. */
export async function doInGuest(compute: Pick<Compute, 'nova'>, id: string, script: string): Promise<void> {
  const shell = { arguments: { path: '/bin/sh', arg: ['-c', script] } };
  const started = (await askAgent(compute, id, 'guest-exec', shell)) as object;
  for (;;) {
    const done = await askAgent(compute, id, 'guest-exec-status', { arguments: started });
    const { exited, exitcode } = done as { exited: boolean; exitcode?: number };
    if (exited && exitcode !== 0) throw new Error(`${script} ends with ${exitcode} in the guest.`);
    if (exited) return;
    await pause(100);
  }
}

/** Resolves when the guest agent of a server answers. */
export async function untilAgentAnswers(compute: Pick<Compute, 'nova'>, id: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await askAgent(compute, id, 'guest-ping');
      return;
    } catch (error) {
      if (tries > 300) throw error;
      await pause(200);
    }
  }
}
