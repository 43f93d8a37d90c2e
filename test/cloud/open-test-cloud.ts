import { type Cloud, openCloud } from '../../functions/command-line/cloud/open-cloud.ts';
import type { KeystoneSettings, KeystoneUser } from './keystone.ts';

/** What the command line opens for a user's `openrc`. */
export function openTestCloud({ authUrl, region }: KeystoneSettings, user: KeystoneUser): Promise<Cloud> {
  return openCloud(openrcOf(authUrl, region, user));
}

export function openrcOf(authUrl: string, region: string, { user, password, project }: KeystoneUser) {
  return {
    ...{ OS_AUTH_URL: authUrl, OS_REGION_NAME: region, OS_USERNAME: user, OS_PASSWORD: password },
    ...{ OS_PROJECT_NAME: project, OS_USER_DOMAIN_ID: 'default', OS_PROJECT_DOMAIN_ID: 'default' },
  };
}
