import { parse } from 'yaml';
import { asRecord } from '#vault/store/swift/fields.ts';
import { recordsIn } from '../../cloud/endpoints.ts';
import { type Cloud, reasonOf } from '../../cloud/open-cloud.ts';
import { findWorkbook } from '../../install/install.ts';
import { type Finding, findingOf } from '../finding.ts';

type Found = Omit<Finding, 'subject'>;

/** Whether Ekko's own API answers, from here and from Mistral, and which hypervisors have an exporter. `url` goes before the one that is installed. */
export async function examineCatalog(cloud: Cloud, url: string | undefined): Promise<Finding[]> {
  const catalog = url ?? (await installedCatalog(cloud).catch(() => undefined));
  if (catalog === undefined) {
    const advice = 'Name it by --catalog or EKKO_CATALOG.';
    return [{ subject: 'catalog', verdict: 'note', found: 'was not looked at: no URL is known', advice }];
  }
  return [
    await findingOf('catalog', () => fromHere(cloud, catalog)),
    await findingOf('from Mistral', () => fromMistral(cloud, catalog)),
    await findingOf('exporters', () => exporters(cloud, catalog)),
    await findingOf('missed backups', () => overdue(cloud, catalog)),
  ];
}

/** The catalog that the installed workbooks call; undefined where there are none. */
export async function installedCatalog(cloud: Cloud): Promise<string | undefined> {
  const definition = (await findWorkbook(cloud, 'ekko.backup.v1'))?.text;
  const inputs = asRecord(
    asRecord(asRecord(definition === undefined ? undefined : parse(definition))?.['workflows'])?.['run'],
  )?.['input'];
  const catalog = recordsIn(inputs).find((input) => 'catalog' in input)?.['catalog'];
  return typeof catalog === 'string' && URL.canParse(catalog) ? catalog : undefined;
}

async function fromHere(cloud: Cloud, catalog: string): Promise<Found> {
  const health = await cloud.call('GET', `${catalog}/healthcheck`);
  if (health.status !== 200) return { verdict: 'wrong', found: `${catalog} is not well: ${reasonOf(health)}` };
  const policies = await cloud.call('GET', `${catalog}/v1/policies`);
  if (policies.status === 200) return { verdict: 'ok', found: `${catalog} answers, and takes the token of this user` };
  const advice = 'Look at the log of `ekko serve`, and at its Keystone settings.';
  return { verdict: 'wrong', found: `${catalog} answers, but not this user: ${reasonOf(policies)}`, advice };
}

/** The way that workflows go, without a token. */
async function fromMistral(cloud: Cloud, catalog: string): Promise<Found> {
  const mistral = cloud.endpoint('workflowv2', 'workflow');
  if (mistral === undefined) return { verdict: 'note', found: 'was not tried: no endpoint' };
  const input = JSON.stringify({ url: `${catalog}/healthcheck`, timeout: 20 });
  const action = { name: 'std.http', input, params: '{"run_sync": true, "save_result": false}' };
  const answer = await cloud.call('POST', `${mistral}/action_executions`, action);
  const output = String(asRecord(answer.body)?.['output'] ?? '');
  if (answer.status === 201 && /"status": 200/.test(output))
    return { verdict: 'ok', found: "Mistral's executors reach the catalog" };
  const found = `Mistral's executors do not reach ${catalog}: ${answer.status === 201 ? output.slice(0, 300) : reasonOf(answer)}`;
  return {
    verdict: 'wrong',
    found,
    advice: 'Look at routes, name service and certificates (REQUESTS_CA_BUNDLE) on the hosts of mistral-executor.',
  };
}

async function exporters(cloud: Cloud, catalog: string): Promise<Found> {
  const answer = await cloud.call('GET', `${catalog}/v1/exporters`);
  if (answer.status === 403) return { verdict: 'note', found: 'are shown to administrators only' };
  if (answer.status !== 200) return { verdict: 'wrong', found: `are not shown: ${reasonOf(answer)}` };
  const all = recordsIn(asRecord(answer.body)?.['exporters']);
  const stale = all
    .filter((each) => each['stale'] === true || each['state'] === 'stale')
    .map(({ host }) => String(host));
  const advice = 'Install one on each hypervisor (docs/operations.md), and look at its log.';
  if (all.length === 0) return { verdict: 'wrong', found: 'none has registered: no server can be backed up', advice };
  if (stale.length > 0)
    return {
      verdict: 'wrong',
      found: `silent: ${stale.slice(0, 20).join(', ')} (${stale.length} of ${all.length})`,
      advice,
    };
  return { verdict: 'ok', found: `${all.length}, all of them heard of lately` };
}

/** Of this user's project. */
async function overdue(cloud: Cloud, catalog: string): Promise<Found> {
  const answer = await cloud.call('GET', `${catalog}/v1/policies?overdue=true&limit=200`);
  if (answer.status !== 200) return { verdict: 'note', found: `are not shown: ${reasonOf(answer)}` };
  const late = recordsIn(asRecord(answer.body)?.['policies']).map((each) => `${each['policy']} (${each['overdue']})`);
  if (late.length === 0) return { verdict: 'ok', found: 'none in this project' };
  const advice =
    'Look whether Mistral fires its schedules (`openstack cron trigger list`), and at their last executions.';
  const shown = late.slice(0, 10).join(', ');
  return { verdict: 'wrong', found: `no run since it was due: ${shown}, ${late.length} in all`, advice };
}
