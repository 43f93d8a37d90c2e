import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readCloudSettings } from '#vault/store/swift/cloud-settings.ts';

const AUTH_URL = 'https://cloud.example/identity';
const USER = { OS_AUTH_URL: AUTH_URL, OS_USERNAME: 'ekko', OS_PASSWORD: 'hunter2', OS_PROJECT_NAME: 'backups' };
const DEFAULT = { id: 'default' };

test('a user and a project by names are in the domain called default, unless others are named', () => {
  const { credential, ...rest } = readCloudSettings(USER);
  expect(credential).toEqual({
    kind: 'password',
    authUrl: `${AUTH_URL}/v3`,
    user: { name: 'ekko', domain: DEFAULT },
    password: 'hunter2',
    project: { name: 'backups', domain: DEFAULT },
  });
  expect(rest).toEqual({ region: undefined, interface: undefined, storageUrl: undefined, caFile: undefined });
});

test.each([
  [
    { OS_USER_DOMAIN_NAME: 'Users', OS_PROJECT_DOMAIN_ID: 'd1' },
    { user: { domain: { name: 'Users' } }, project: { domain: { id: 'd1' } } },
  ],
  [{ OS_USER_DOMAIN_ID: 'd0' }, { user: { domain: { id: 'd0' } }, project: { domain: DEFAULT } }],
  [{ OS_DEFAULT_DOMAIN: 'd2' }, { user: { domain: { id: 'd2' } }, project: { domain: { id: 'd2' } } }],
  [{ OS_DEFAULT_DOMAIN: 'd2', OS_USER_DOMAIN_NAME: 'Users' }, { user: { domain: { name: 'Users' } } }],
  [{ OS_PROJECT_ID: 'p1' }, { project: { id: 'p1' } }],
  [{ OS_USER_ID: 'u1' }, { user: { id: 'u1' } }],
  [{ OS_PROJECT_NAME: '', OS_TENANT_NAME: 'old' }, { project: { name: 'old' } }],
  [{ OS_AUTH_URL: `${AUTH_URL}/v3/` }, { authUrl: `${AUTH_URL}/v3` }],
  [{ OS_AUTH_TYPE: 'v3password' }, { kind: 'password' }],
])('of variables, %j means what every client takes it for', (variables, credential) => {
  expect(readCloudSettings({ ...USER, ...variables }).credential).toMatchObject(credential);
});

test.each([
  [{ OS_APPLICATION_CREDENTIAL_ID: 'a1' }, { id: 'a1' }],
  [
    { OS_APPLICATION_CREDENTIAL_NAME: 'vault', OS_USER_ID: 'u1' },
    { name: 'vault', user: { id: 'u1' } },
  ],
  [
    { OS_APPLICATION_CREDENTIAL_NAME: 'vault', OS_USERNAME: 'ekko', OS_USER_DOMAIN_NAME: 'Users' },
    { name: 'vault', user: { name: 'ekko', domain: { name: 'Users' } } },
  ],
])('an application credential: %j', (variables, credential) => {
  const base = { OS_AUTH_URL: AUTH_URL, OS_APPLICATION_CREDENTIAL_SECRET: 'hunter2', ...variables };
  const expected = { kind: 'application-credential', authUrl: `${AUTH_URL}/v3`, credential, secret: 'hunter2' };
  expect(readCloudSettings({ ...base, OS_AUTH_TYPE: 'v3applicationcredential' }).credential).toEqual(expected);
  expect(readCloudSettings(base).credential).toEqual(expected);
});

test.each(['OS_TOKEN', 'OS_AUTH_TOKEN'])('a ready %s with its storage URL needs no Keystone', (name) => {
  const url = 'http://swift.example/v1/AUTH_a';
  const settings = readCloudSettings({ [name]: 'hunter2', OS_STORAGE_URL: `${url}/` });
  expect(settings.credential).toEqual({ kind: 'token', token: 'hunter2', storageUrl: url });
});

test('region, interface, storage URL and authority are read', () => {
  const more = {
    OS_REGION_NAME: 'R',
    OS_ENDPOINT_TYPE: 'internalURL',
    OS_STORAGE_URL: 'http://s/v1/a',
    OS_CACERT: '/ca.pem',
  };
  expect(readCloudSettings({ ...USER, ...more })).toMatchObject({
    region: 'R',
    interface: 'internal',
    storageUrl: 'http://s/v1/a',
    caFile: '/ca.pem',
    credential: { kind: 'password' },
  });
});

test.each([
  [{}, /OS_AUTH_URL|OS_USERNAME|OS_PROJECT_NAME/],
  [{ ...USER, OS_AUTH_URL: '' }, /OS_AUTH_URL is not set/],
  [{ ...USER, OS_PASSWORD: '' }, /OS_PASSWORD is not set/],
  [{ ...USER, OS_USERNAME: '' }, /OS_USERNAME is not set/],
  [{ ...USER, OS_PROJECT_NAME: '' }, /OS_PROJECT_NAME is not set/],
  [{ ...USER, OS_AUTH_URL: 'cloud.example' }, /OS_AUTH_URL is no http/],
  [{ ...USER, OS_AUTH_URL: 'ftp://cloud.example' }, /OS_AUTH_URL is no http/],
  [{ ...USER, OS_AUTH_URL: 'https://user:hunter2@cloud.example' }, /OS_AUTH_URL holds credentials/],
  [{ ...USER, OS_AUTH_URL: 'https://cloud.example/v2.0' }, /v3 is needed/],
  [{ ...USER, OS_AUTH_TYPE: 'v3oidcpassword' }, /v3applicationcredential .*known/],
  [{ ...USER, OS_INTERFACE: 'private' }, /OS_INTERFACE/],
  [{ ...USER, OS_INSECURE: 'True' }, /Certificates are always checked/],
  [{ ...USER, OS_AUTH_TYPE: 'token', OS_STORAGE_URL: 'http://s' }, /OS_TOKEN is not set/],
  [{ OS_AUTH_URL: AUTH_URL, OS_APPLICATION_CREDENTIAL_ID: 'a' }, /OS_APPLICATION_CREDENTIAL_SECRET is not set/],
  [{ OS_CLOUD: 'none', OS_CLIENT_CONFIG_FILE: '/nowhere/clouds.yaml' }, /clouds.yaml cannot be read/],
])('what is missing or wrong is said, without any secret', (environment, message) => {
  const read = () => readCloudSettings(environment);
  expect(read).toThrow(expect.objectContaining({ code: 'bad-input', message: expect.stringMatching(message) }));
  expect(read).toThrow(expect.objectContaining({ message: expect.not.stringContaining('hunter2') }));
});

describe('clouds.yaml', () => {
  const CLOUDS = `
clouds:
  vaults:
    auth:
      auth_url: ${AUTH_URL}
      username: ekko
      password: hunter2
      project-name: backups
      user_domain_name: Users
    region_name: R1
    interface: internal
    cacert: /ca.pem
    verify: true
  lonely:
    auth_type: v3applicationcredential
    auth: { auth_url: '${AUTH_URL}', application_credential_id: a1 }
  unchecked:
    auth: { auth_url: '${AUTH_URL}', username: ekko, password: hunter2, project_name: backups }
    verify: false
`;
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ekko-clouds-'));
    await mkdir(join(folder, '.config', 'openstack'), { recursive: true });
    file = join(folder, '.config', 'openstack', 'clouds.yaml');
    await writeFile(file, CLOUDS);
  });
  afterEach(() => rm(folder, { recursive: true }));
  const read = (more: NodeJS.ProcessEnv) => readCloudSettings({ HOME: folder, ...more });

  test('the cloud that OS_CLOUD names is read from its usual place', () => {
    expect(read({ OS_CLOUD: 'vaults', OS_USERNAME: 'somebody', OS_REGION_NAME: 'R2' })).toEqual({
      credential: {
        kind: 'password',
        authUrl: `${AUTH_URL}/v3`,
        user: { name: 'ekko', domain: { name: 'Users' } },
        password: 'hunter2',
        project: { name: 'backups', domain: DEFAULT },
      },
      ...{ region: 'R1', interface: 'internal', storageUrl: undefined, caFile: '/ca.pem' },
    });
  });

  test('a file may be named by itself, and the user has a place of their own', async () => {
    expect(readCloudSettings({ OS_CLOUD: 'vaults', OS_CLIENT_CONFIG_FILE: file }).region).toBe('R1');
    expect(readCloudSettings({ OS_CLOUD: 'vaults', XDG_CONFIG_HOME: join(folder, '.config') }).region).toBe('R1');
  });

  test('secrets may lie in secure.yaml', async () => {
    await writeFile(
      join(folder, '.config', 'openstack', 'secure.yaml'),
      'clouds: { lonely: { auth: { application_credential_secret: hunter3 } } }',
    );
    const { credential } = read({ OS_CLOUD: 'lonely' });
    expect(credential).toMatchObject({ kind: 'application-credential', credential: { id: 'a1' }, secret: 'hunter3' });
  });

  test.each([
    ['lonely', /application_credential_secret of cloud "lonely" in .*clouds.yaml is not set/],
    ['unchecked', /Certificates are always checked/],
    ['other', /has no cloud "other"/],
    ['__proto__', /has no cloud "__proto__"/],
  ])('what is wrong with the cloud %s is said', (cloud, message) => {
    expect(() => read({ OS_CLOUD: cloud })).toThrow(message);
  });

  test.each(['clouds: [', 'clouds: 5', '', '- a', 'password: hunter2: [\n'])(
    'a file of %j is refused, and not quoted',
    async (text) => {
      await writeFile(file, text);
      expect(() => read({ OS_CLOUD: 'vaults' })).toThrow(
        expect.objectContaining({ code: 'bad-input', message: expect.not.stringContaining('hunter2') }),
      );
    },
  );

  test('without a file, the places that were looked at are named', async () => {
    await rm(file);
    expect(() => read({ OS_CLOUD: 'vaults' })).toThrow(/no clouds.yaml in .*\.config\/openstack, \/etc\/openstack/);
  });
});
