import { asRecord } from '#vault/store/swift/fields.ts';
import { recordsIn } from '../../cloud/endpoints.ts';
import { type Cloud, openCloud, reasonOf } from '../../cloud/open-cloud.ts';
import { type Finding, findingOf } from '../finding.ts';
import { examineCatalog } from './catalog.ts';
import { probeStack } from './heat.ts';
import { examineMistral } from './mistral.ts';
import { probeBarbican, probeSwift } from './stores.ts';

/** Looks at all that Ekko needs of a cloud, as whoever OS_* or OS_CLOUD names; what it makes for a try it takes away again. Throws what `openCloud` throws. */
export async function examineCloud(environment: NodeJS.ProcessEnv, catalog: string | undefined): Promise<Finding[]> {
  const cloud = await openCloud(environment);
  return [
    await findingOf('identity', () => identity(cloud)),
    ...SERVICES.map((service) => serviceFinding(cloud, service)),
    await findingOf('Swift', () => probeSwift(cloud)),
    await findingOf('Barbican', () => probeBarbican(cloud)),
    ...(await examineMistral(cloud)),
    await findingOf('Heat', () => probeStack(cloud)),
    ...(await examineCatalog(cloud, catalog)),
  ];
}

interface Service {
  readonly name: string;
  readonly types: readonly string[];
  readonly need: string;
  /** Without it there is no backup at all. */
  readonly needed: boolean;
}

const SERVICES: readonly Service[] = [
  { name: 'Swift', types: ['object-store'], need: 'vaults lie in it', needed: true },
  { name: 'Barbican', types: ['key-manager'], need: "it keeps the vaults' keys", needed: true },
  { name: 'Mistral', types: ['workflowv2', 'workflow'], need: 'it runs backups, on schedule', needed: true },
  { name: 'Nova', types: ['compute'], need: 'its servers are backed up', needed: true },
  { name: 'Heat', types: ['orchestration'], need: 'policies are declared in its stacks', needed: false },
  {
    name: 'Cinder',
    types: ['volumev3', 'block-storage', 'volumev2'],
    need: 'volumes are named and restored by it',
    needed: false,
  },
  { name: 'Neutron', types: ['network'], need: 'networks are recorded with a restore point', needed: false },
  { name: 'Glance', types: ['image'], need: 'base images are backed up once', needed: false },
];

function serviceFinding(cloud: Cloud, { name, types, need, needed }: Service): Finding {
  const url = cloud.endpoint(...types);
  const subject = `${name} endpoint`;
  if (url !== undefined) return { subject, verdict: 'ok', found: new URL(url).origin };
  const found = `not in the catalogue of this project and region: ${need}`;
  return {
    subject,
    verdict: needed ? 'wrong' : 'note',
    found,
    advice: `Look at \`openstack catalog list\` and OS_REGION_NAME.`,
  };
}

async function identity(cloud: Cloud): Promise<Omit<Finding, 'subject'>> {
  const answer = await cloud.whoAmI();
  if (answer.status !== 200)
    return { verdict: 'wrong', found: `Keystone does not tell who we are: ${reasonOf(answer)}` };
  const token = asRecord(asRecord(answer.body)?.['token']) ?? {};
  const roles = recordsIn(token['roles']).map(({ name }) => String(name));
  const found = `${asRecord(token['user'])?.['name']} in ${asRecord(token['project'])?.['name']}, with ${roles.join(', ') || 'no role'}`;
  if (!cloud.byApplicationCredential) return { verdict: 'ok', found };
  const advice =
    'Schedules and stacks need trusts, which an application credential may only make if it is --unrestricted.';
  return { verdict: 'note', found: `${found}, by application credential`, advice };
}
