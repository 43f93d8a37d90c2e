import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { readExporterSettings } from '../../../host-exporter/api/exporter-settings.ts';

let folder: string;
let file: string;
const GOOD = {
  url: 'https://compute-1.example.org:8902',
  catalog: 'https://ekko.example.org:8901',
  certificate: '/etc/ekko/exporter.pem',
  certificate_key: '/etc/ekko/exporter.key',
  keystone: { auth_url: 'https://keystone.example.org:5000/v3', username: 'ekko', password: 'pa55word' },
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-'));
  file = join(folder, 'exporter.yaml');
});

afterEach(() => rm(folder, { recursive: true }));

async function read(settings: object | string) {
  await writeFile(file, typeof settings === 'string' ? settings : stringify(settings), { mode: 0o600 });
  return readExporterSettings(file);
}

test('what is left out has its default', async () => {
  expect(await read(GOOD)).toMatchObject({ port: 8902, exports_at_once: 2, bandwidth: 0, libvirt: 'qemu:///system' });
  expect((await read(GOOD)).host).not.toBe('');
});

test.each([
  ['an unknown name', { ...GOOD, bandwith: 1 }, 'bandwith'],
  ['an unknown name within keystone', { ...GOOD, keystone: { ...GOOD.keystone, tenant: 'x' } }, 'tenant'],
  ['a port that is none', { ...GOOD, port: 70_000 }, '/port'],
  ['a folder that is not absolute', { ...GOOD, state_directory: 'state' }, '/state_directory'],
  ['no password', { ...GOOD, keystone: { auth_url: 'https://k', username: 'ekko' } }, 'password'],
  [
    'no certificate on an address that others reach',
    { ...GOOD, certificate: undefined, certificate_key: undefined },
    'certificate',
  ],
  ['a certificate without its key', { ...GOOD, certificate_key: undefined }, 'come together'],
  ['a catalog that is sent tokens in the clear', { ...GOOD, catalog: 'http://ekko.example.org' }, 'catalog'],
  [
    'a Keystone that is sent the password in the clear',
    { ...GOOD, keystone: { ...GOOD.keystone, auth_url: 'http://k/v3' } },
    'auth_url',
  ],
  ['an address with credentials in it', { ...GOOD, url: 'https://me:x@compute-1' }, '/url'],
  ['a list', [1], 'object'],
  ['what is no YAML', '{', 'YAML'],
])('%s is refused by name', async (_, settings, message) => {
  const reading = read(settings);
  await expect(reading).rejects.toMatchObject({ code: 'bad-input', message: expect.stringContaining(message) });
  await expect(reading).rejects.not.toThrow('pa55word');
});

test('a file that others may read is refused', async () => {
  await read(GOOD);
  await chmod(file, 0o640);
  await expect(readExporterSettings(file)).rejects.toThrow(`chmod 0600 ${file}`);
});

test('plain HTTP is for loopback alone', async () => {
  const local = {
    ...GOOD,
    certificate: undefined,
    certificate_key: undefined,
    address: '127.0.0.1',
    catalog: 'http://[::1]:1',
  };
  expect(await read(local)).toMatchObject({ address: '127.0.0.1' });
});
