import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCatalogSettings } from '../../../functions/catalog/settings.ts';

const SECRET = 'correct-horse';
const SOUND = `
public_url: https://ekko.example.org:8443
registry: file:/var/lib/ekko/registry
journal_file: /etc/ekko/journal
keystone: {url: "https://keystone.example.org/v3", user: ekko, password: ${SECRET}, project: service}
endpoints: {nova: "https://nova.example.org/v2.1", swift: "https://swift.example.org/v1/AUTH_%(project_id)s", barbican: "https://barbican.example.org"}
`;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-settings-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function read(text: string, mode = 0o600) {
  const path = join(folder, `${Math.random()}.yaml`);
  await writeFile(path, text, { mode });
  return readCatalogSettings(path);
}

test('settings are read with their defaults', async () => {
  expect(await read(SOUND)).toMatchObject({
    listen: { host: '127.0.0.1', port: 8443 },
    keystone: { user_domain: 'Default', password: SECRET },
    limits: { requests_per_minute: 1200 },
    workers: 2,
  });
});

describe('settings are refused, without a word of the password,', () => {
  test.each<[string, string, RegExp]>([
    ['with a name that nobody knows', `${SOUND}colour: blue\n`, /"colour", which is unknown/],
    ['without Keystone', SOUND.replace(/keystone:.*\n/, ''), /keystone/],
    ['with a URL that holds a password', SOUND.replace('https://nova', 'https://u:p@nova'), /endpoints.nova/],
    ['that are no YAML', `${SOUND} - [: ${SECRET}`, /is not YAML/],
    ['that listen to the world without TLS', `${SOUND}listen: {host: 0.0.0.0, port: 8443}\n`, /in the clear/],
    ['that multiply themselves', `a: &a [1]\nb: [*a, *a]\n${SOUND}`, /is not YAML/],
  ])('%s', async (_, text, said) => {
    const failure = await read(text).catch((error: Error) => error);
    expect(failure).toMatchObject({ code: 'bad-input', message: expect.stringMatching(said) });
    expect(String((failure as Error).message)).not.toContain(SECRET);
  });

  test('that others may read', async () => {
    await expect(read(SOUND, 0o640)).rejects.toMatchObject({ message: expect.stringContaining('chmod 600') });
  });

  test('that are not there', async () => {
    await expect(readCatalogSettings(join(folder, 'none'))).rejects.toMatchObject({
      message: expect.stringContaining('EKKO_SETTINGS'),
    });
  });
});
