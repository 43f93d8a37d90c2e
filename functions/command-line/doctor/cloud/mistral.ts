import { randomBytes } from 'node:crypto';
import { asRecord } from '#vault/store/swift/fields.ts';
import { recordsIn } from '../../cloud/endpoints.ts';
import { type Cloud, reasonOf } from '../../cloud/open-cloud.ts';
import { checkInstallation } from '../../install/install.ts';
import { readWorkbooks } from '../../install/workbooks.ts';
import { type Finding, findingOf } from '../finding.ts';
import { installedCatalog } from './catalog.ts';

type Found = Omit<Finding, 'subject'>;

const ACTIONS = ['std.http', 'std.noop', 'std.fail', 'std.email'];

/** Its actions, Ekko's workbooks, and whether it can keep schedules. */
export async function examineMistral(cloud: Cloud): Promise<Finding[]> {
  const mistral = cloud.endpoint('workflowv2', 'workflow');
  if (mistral === undefined) return [];
  return [
    await findingOf('Mistral actions', () => actions(cloud, mistral)),
    await findingOf('workbooks', () => workbooks(cloud)),
    await findingOf('schedules', () => probeSchedule(cloud, mistral)),
  ];
}

async function actions(cloud: Cloud, mistral: string): Promise<Found> {
  // By name, for Mistral 15 cannot sort actions by their age.
  const answer = await cloud.call('GET', `${mistral}/actions?fields=name&sort_keys=name&name=has:std.`);
  if (answer.status !== 200) return { verdict: 'wrong', found: `are not listed: ${reasonOf(answer)}` };
  const names = recordsIn(asRecord(answer.body)?.['actions']).map(({ name }) => name);
  const missing = ACTIONS.filter((name) => !names.includes(name));
  if (missing.length === 0) return { verdict: 'ok', found: ACTIONS.join(', ') };
  return {
    verdict: 'wrong',
    found: `without ${missing.join(', ')}`,
    advice: 'Run `mistral-db-manage populate` on its host.',
  };
}

async function workbooks(cloud: Cloud): Promise<Found> {
  const catalog = await installedCatalog(cloud);
  if (catalog === undefined)
    return {
      verdict: 'wrong',
      found: 'are not there',
      advice: 'Run `ekko install`, or ask an administrator to, with --public.',
    };
  const steps = await checkInstallation(cloud, await readWorkbooks({ catalog }));
  const missing = steps.filter(({ state }) => state === 'missing').map(({ name }) => name);
  if (missing.length > 0)
    return { verdict: 'wrong', found: `without ${missing.join(', ')}`, advice: 'Run `ekko install`.' };
  const others = steps.filter(({ state }) => state !== 'current').map(({ name }) => name);
  if (others.length === 0) return { verdict: 'ok', found: `of this release, for ${catalog}` };
  return {
    verdict: 'note',
    found: `of another release or with places of their own: ${others.join(', ')}`,
    advice: 'See `ekko install --check`.',
  };
}

/** Keeps a schedule for a day that comes in years, and takes it away again. */
async function probeSchedule(cloud: Cloud, mistral: string): Promise<Found> {
  const name = `ekko-doctor-${randomBytes(6).toString('hex')}`;
  const trigger = {
    name,
    pattern: '0 0 29 2 *',
    workflow_name: 'ekko.backup.v1.abandon',
    workflow_input: '{"run": "none"}',
  };
  const answer = await cloud.call('POST', `${mistral}/cron_triggers`, trigger);
  if (answer.status === 201) {
    await cloud.call('DELETE', `${mistral}/cron_triggers/${name}`);
    return { verdict: 'ok', found: 'Mistral keeps them, by a trust of this user' };
  }
  if (answer.status === 404 || answer.status === 400)
    return { verdict: 'note', found: 'were not tried: that needs the workbooks' };
  const advice = cloud.byApplicationCredential
    ? 'This application credential may make no trusts: use a password, or one made with --unrestricted.'
    : "mistral.conf: www_authenticate_uri in [keystone_authtoken] must be Keystone's URL with /v3 at its end; and the user needs a role to hand on.";
  return { verdict: 'wrong', found: `Mistral keeps none: ${reasonOf(answer)}`, advice };
}
