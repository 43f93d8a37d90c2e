import { EkkoError } from '#vault/errors.ts';
import type { GuestAgent } from '../qemu/guest-agent.ts';
import { asObject, memberOf } from '../qemu/json-value.ts';
import { openVirsh, type Virsh } from './virsh.ts';

/** libvirt waits for its own client of the agent; its program needs a moment to start, and to say that time is up. */
const VIRSH_MS = 5_000;

/** The agent of a guest whose agent socket libvirt holds. Nothing is asked of it yet. */
export function openLibvirtAgent(domain: string, uri: string): GuestAgent {
  const virsh = openVirsh({ uri, program: 'virsh' });
  const ask = (command: string, ms: number) => askAgent(virsh, domain, command, ms);
  return {
    freeze: async (ms) => frozenCount(await ask('guest-fsfreeze-freeze', ms), domain),
    thaw: async (ms) => frozenCount(await ask('guest-fsfreeze-thaw', ms), domain),
    status: async (ms) => frozenStatus(await ask('guest-fsfreeze-status', ms), domain),
    close: async () => undefined,
  };
}

/** libvirt synchronises with the agent before each question, so that a late answer is never taken for another's. */
async function askAgent(virsh: Virsh, domain: string, execute: string, limitMs: number): Promise<unknown> {
  const seconds = String(Math.max(1, Math.ceil(limitMs / 1000)));
  const question = ['qemu-agent-command', domain, '--timeout', seconds, JSON.stringify({ execute })];
  const answer = JSON.parse(await virsh.run(question, limitMs + VIRSH_MS));
  return memberOf(asObject(answer, `the answer to ${execute}`), 'return');
}

function frozenCount(value: unknown, domain: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new EkkoError(
    'qemu-failed',
    `The guest agent of ${domain} answered ${JSON.stringify(value)} to a freeze or thaw`,
  );
}

function frozenStatus(value: unknown, domain: string): 'frozen' | 'thawed' {
  if (value === 'frozen' || value === 'thawed') return value;
  throw new EkkoError('qemu-failed', `The guest agent of ${domain} answered ${JSON.stringify(value)} to a status`);
}
