import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { asRecord } from '#vault/store/swift/fields.ts';
import { type Cloud, reasonOf } from '../../cloud/open-cloud.ts';
import type { Finding } from '../finding.ts';

type Found = Omit<Finding, 'subject'>;

const TYPES = ['OS::Mistral::ExternalResource', 'OS::Mistral::CronTrigger'];
const POLL_MS = 300;
const LONGEST_MS = 60_000;

/** Makes, changes and deletes a stack of one value: only so it is seen whether Heat's trusts work. */
export async function probeStack(cloud: Cloud): Promise<Found> {
  const heat = cloud.endpoint('orchestration');
  if (heat === undefined) return { verdict: 'note', found: 'was not looked at: no endpoint' };
  const types = asRecord((await cloud.call('GET', `${heat}/resource_types`)).body)?.['resource_types'];
  const missing = TYPES.filter((type) => !Array.isArray(types) || !types.includes(type));
  if (missing.length > 0)
    return {
      verdict: 'wrong',
      found: `without ${missing.join(', ')}`,
      advice: 'Heat shows them when Mistral is in the catalogue.',
    };
  const name = `ekko-doctor-${randomBytes(6).toString('hex')}`;
  const made = await cloud.call('POST', `${heat}/stacks`, { stack_name: name, template: templateOf('one') });
  if (made.status !== 201) return { verdict: 'wrong', found: `makes no stack: ${reasonOf(made)}`, advice: MADE };
  const stack = `${heat}/stacks/${name}/${asRecord(asRecord(made.body)?.['stack'])?.['id']}`;
  try {
    return await change(cloud, stack);
  } finally {
    await cloud.call('DELETE', stack);
  }
}

async function change(cloud: Cloud, stack: string): Promise<Found> {
  const state = await endOf(cloud, stack);
  if (state !== 'CREATE_COMPLETE')
    return { verdict: 'wrong', found: `a stack of one value ended in ${state}`, advice: MADE };
  const changed = await cloud.call('PUT', stack, { template: templateOf('two') });
  if (changed.status !== 202)
    return { verdict: 'wrong', found: `changes no stack: ${reasonOf(changed)}`, advice: CHANGED };
  const end = await endOf(cloud, stack);
  if (end === 'UPDATE_COMPLETE') return { verdict: 'ok', found: 'makes, changes and deletes stacks' };
  return { verdict: 'wrong', found: `a change of a stack ended in ${end}`, advice: CHANGED };
}

const MADE =
  'heat.conf: deferred_auth_method, trusts_delegated_roles (empty: all roles of the user) and the stack domain; is the user in a role to hand on?';
const CHANGED = 'heat.conf: [trustee] must name a user and its domain, and no project.';

const templateOf = (value: string) => ({
  heat_template_version: '2021-04-16',
  description: 'Made by ekko doctor cloud, which deletes it at once.',
  resources: { value: { type: 'OS::Heat::Value', properties: { value } } },
});

async function endOf(cloud: Cloud, stack: string): Promise<string> {
  for (const end = performance.now() + LONGEST_MS; ; await pause(POLL_MS)) {
    const found = asRecord(asRecord((await cloud.call('GET', stack)).body)?.['stack'])?.['stack_status'];
    const status = String(found ?? 'nothing');
    if (!status.endsWith('IN_PROGRESS') || performance.now() > end) return status;
  }
}
