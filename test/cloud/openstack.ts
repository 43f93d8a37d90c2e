import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type BarbicanSettings, useBarbican } from './barbican.ts';
import { type HeatSettings, useHeat } from './heat.ts';
import { addUser, type KeystoneSettings, type KeystoneUser, useKeystone } from './keystone.ts';
import { type MistralSettings, useMistral } from './mistral.ts';
import { writeConfiguration } from './openstack-service.ts';
import { useService } from './service.ts';
import { type SwiftSettings, useSwift } from './swift.ts';

/** An OpenStack without servers: whatever Ekko asks of a cloud except the guests. */
export interface CloudSettings {
  /** `member` is the tenant (`ekko` in `backups`), `admin` the operator. */
  readonly keystone: KeystoneSettings;
  /** A member of another project, who must not get at what is the tenant's. */
  readonly stranger: KeystoneUser;
  readonly swift: SwiftSettings;
  readonly barbican: BarbicanSettings;
  readonly mistral: MistralSettings;
  readonly heat: HeatSettings;
  /** Shell files that set `OS_*` for the `openstack` command. */
  readonly openrc: { readonly member: string; readonly admin: string; readonly stranger: string };
}

/** Keystone, Swift, Barbican, Mistral and Heat, shared by the tests of a run. */
export function useCloud(): Promise<CloudSettings> {
  return useService('cloud', startCloud);
}

async function startCloud(folder: string): Promise<CloudSettings> {
  const [keystone, swift, barbican, mistral, heat] = await Promise.all([
    useKeystone(),
    useSwift(),
    useBarbican(),
    useMistral(),
    useHeat(),
  ]);
  const stranger = await addUser(keystone, { user: 'stranger', project: 'elsewhere', role: 'member' });
  const openrc = await writeOpenrcFiles(folder, keystone, stranger);
  return { keystone, stranger, swift, barbican, mistral, heat, openrc };
}

async function writeOpenrcFiles(folder: string, keystone: KeystoneSettings, stranger: KeystoneUser) {
  await mkdir(folder, { recursive: true });
  const write = (name: string, user: KeystoneUser) => writeConfiguration(join(folder, name), openrcOf(keystone, user));
  return {
    member: await write('openrc', keystone.member),
    admin: await write('openrc-admin', keystone.admin),
    stranger: await write('openrc-stranger', stranger),
  };
}

function openrcOf({ authUrl, region }: KeystoneSettings, { user, password, project }: KeystoneUser): string {
  const values = {
    AUTH_URL: authUrl,
    IDENTITY_API_VERSION: '3',
    REGION_NAME: region,
    USERNAME: user,
    PASSWORD: password,
    PROJECT_NAME: project,
    USER_DOMAIN_ID: 'default',
    PROJECT_DOMAIN_ID: 'default',
  };
  const lines = Object.entries(values).map(([name, value]) => `export OS_${name}='${value}'\n`);
  return lines.join('');
}
