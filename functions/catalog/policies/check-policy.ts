import { EkkoError } from '#vault/errors.ts';
import { checker } from '../../rim/strict-ajv.ts';
import type { PolicyDefinition } from './policy.ts';
import { POLICY_SCHEMA } from './policy-schema.ts';
import { checkSchedule, checkTimeZone } from './schedule.ts';

const check = checker<PolicyDefinition>(POLICY_SCHEMA, 'The policy');

/** The policy with its defaults, if it can be meant. Throws `bad-input` saying what is wrong. */
export function checkPolicy(body: unknown, now: Date): PolicyDefinition {
  refuseCrowds(body);
  const policy = check(structuredClone(body));
  if (policy.schedule !== undefined) checkSchedule(policy.schedule, now);
  if (policy.retention !== undefined) checkTimeZone(policy.retention.timeZone);
  if (policy.copyTo?.vault === policy.vault) {
    throw new EkkoError(
      'bad-input',
      `The policy copies to the vault ${policy.vault} that it backs up to. Name another one.`,
    );
  }
  refuseLargeBodies(policy);
  return policy;
}

/** A workflow carries them along. */
function refuseLargeBodies({ hooks = [] }: PolicyDefinition): void {
  for (const [at, { body }] of hooks.entries()) {
    if (body === undefined || Buffer.byteLength(JSON.stringify(body)) <= LARGEST_BODY) continue;
    throw new EkkoError('bad-input', `The body of hook ${at + 1} has more than ${LARGEST_BODY} bytes.`);
  }
}

const LARGEST_BODY = 16 * 1024;

/** The schema says so too, in words that help nobody. */
function refuseCrowds(body: unknown): void {
  const { members } = (body ?? {}) as { members?: { servers?: unknown } };
  const servers = members?.servers;
  if (!Array.isArray(servers) || servers.length <= MOST) return;
  throw new EkkoError(
    'bad-input',
    `The policy names ${servers.length} servers; one moment of more than ${MOST} cannot be taken. Split it into several policies.`,
  );
}

const MOST = POLICY_SCHEMA.properties.members.properties.servers.maxItems;
