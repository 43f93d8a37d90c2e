import { connectAgent, type GuestAgent } from '../qemu/guest-agent.ts';
import { openLibvirtAgent } from './libvirt-agent.ts';

const LIBVIRT = /^libvirt:([0-9a-f-]{36})@(.+)$/;

/** The address of the agent of a domain, for whoever takes an agent's socket: it stands in records and arguments alike. */
export function libvirtAgentAddress(domain: string, uri: string): string {
  return `libvirt:${domain}@${uri}`;
}

/** The agent at a socket's path, or at `libvirtAgentAddress`. Throws `qemu-failed` when none answers at the socket within the limit. */
export async function openAgent(address: string, limitMs: number): Promise<GuestAgent> {
  const [, domain, uri] = LIBVIRT.exec(address) ?? [];
  if (domain === undefined || uri === undefined) return connectAgent(address, limitMs);
  return openLibvirtAgent(domain, uri);
}
