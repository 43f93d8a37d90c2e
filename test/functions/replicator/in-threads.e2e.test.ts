import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pLimit from 'p-limit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createKeyFile } from '#vault/keys/key-file.ts';
import { keyFileProvider } from '#vault/keys/key-provider.ts';
import { openFileStore } from '#vault/store/file-store.ts';
import { createVault, openVault, type Vault } from '#vault/vault.ts';
import { copyPoints } from '../../../functions/catalog/copies/copy-points.ts';
import type { TenantVault } from '../../../functions/catalog/vaults/tenant-vaults.ts';
import { runBackup } from '../../../functions/command-line/run-backup.ts';
import { bundlePath } from '../../../functions/host/bundles.ts';
import { type FunctionHost, openFunctionHost } from '../../../functions/host/function-host.ts';
import { openFileSource } from '../../../host-exporter/changed-blocks/file-source.ts';
import { restored } from '../../restored.ts';

const NAMES = ['segment-processor', 'point-committer', 'replicator'] as const;
const MIB = 1024 * 1024;

let folder: string;
let uploads: Server;
let hosts: FunctionHost[];
/** Uploads of objects, as they came: an exporter’s right takes no other request. */
let put: string[];

/** What Swift does with a temporary URL: PUT below one prefix, and nothing without the signature. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-copy-'));
  [hosts, put] = [[], []];
  uploads = createServer(async (request, response) => {
    const bytes = Buffer.concat(await request.toArray());
    const { pathname, search } = new URL(request.url ?? '/', 'http://x');
    const [, name = '', key = ''] = /^\/(\w+)\/(.*)$/.exec(pathname) ?? [];
    if (request.method !== 'PUT' || search !== '?sig=good') return void response.writeHead(401).end();
    put.push(`${name} ${key}`);
    const made = await openFileStore(join(folder, name)).create(key, [bytes]);
    response.writeHead(made === 'created' ? 201 : 412).end();
  });
  await once(uploads.listen(0, '127.0.0.1'), 'listening');
});

afterEach(async () => {
  await Promise.all(hosts.map((host) => host.close()));
  uploads.close();
  uploads.closeAllConnections();
  await rm(folder, { recursive: true });
});

/** A vault with a key of its own, and its functions as they are deployed. */
async function openTenant(name: string): Promise<TenantVault & { readonly host: FunctionHost }> {
  const [place, keyFile] = [join(folder, name), join(folder, `${name}.key`)];
  const { publicKey } = await createKeyFile(keyFile);
  await createVault(openFileStore(place), {
    recipients: [{ kind: 'key-file', publicKey }],
    noEscrow: true,
    now: new Date(),
  });
  const vault = await openVault(openFileStore(place), keyFileProvider(keyFile));
  const quiet = { POWERTOOLS_LOG_LEVEL: 'SILENT', POWERTOOLS_METRICS_DISABLED: 'true' };
  const host = openFunctionHost({
    ...{ workers: 1, callsPerWorker: 2, workerPath: bundlePath('function-worker') },
    bundles: Object.fromEntries(NAMES.map((each) => [each, bundlePath(each)])),
    environment: { EKKO_VAULT: place, EKKO_KEY_FILE: keyFile, ...quiet },
  });
  hosts.push(host);
  const url = `http://127.0.0.1:${(uploads.address() as AddressInfo).port}/${name}/`;
  return {
    ...{ vault, host, invoke: host.invoke, renew: async () => undefined, close: async () => undefined },
    upload: async () => ({ url, query: '?sig=good' }),
    readerSettings: undefined,
  };
}

async function backUp(vault: Vault, host: FunctionHost) {
  const source = await openFileSource([
    { name: 'disk', path: join(folder, 'disk.img') },
    { name: 'second', path: join(folder, 'second.img') },
  ]);
  const watch = {
    planned: () => undefined,
    read: () => undefined,
    staged: () => undefined,
    distrusted: () => undefined,
  };
  return runBackup({
    ...{
      vault,
      host,
      source,
      group: 'shop',
      quiesce: 'never',
      readAll: undefined,
      auditShare: 0,
      bandwidth: undefined,
    },
    ...{ partSegments: 64, partsWaiting: 4, watch },
  });
}

test('the bundles copy a vault to one with another key by uploads alone, and then what has changed', async () => {
  const [near, far] = [await openTenant('near'), await openTenant('far')];
  const image = Buffer.concat([randomBytes(9 * MIB), Buffer.alloc(3 * MIB), randomBytes(2 * MIB)]);
  await writeFile(join(folder, 'disk.img'), image);
  const second = randomBytes(3 * MIB);
  await writeFile(join(folder, 'second.img'), second);
  await backUp(near.vault, near.host);
  const wish = {
    ...{ source: near, target: far, group: 'shop', failed: [], copyTurns: pLimit(1), now: () => new Date() },
    ...{ copy: 'x', underWay: async () => new Set<string>() },
  };
  const first = await copyPoints(wish);
  expect(first).toMatchObject({ copied: 1, bytesRead: 14 * MIB, failed: [] });
  expect((await restored(far.vault, first.newest ?? '', 'disk')).equals(image)).toBe(true);
  expect((await restored(far.vault, first.newest ?? '', 'second')).equals(second)).toBe(true);

  randomBytes(65_536).copy(image, 5 * MIB);
  await writeFile(join(folder, 'disk.img'), image);
  await backUp(near.vault, near.host);
  const again = await copyPoints(wish);
  expect(again).toMatchObject({ copied: 1, bytesRead: 65_536, failed: [] });
  expect((await restored(far.vault, again.newest ?? '', 'disk')).equals(image)).toBe(true);

  expect(put.length).toBeGreaterThan(2);
  for (const each of put) expect(each).toMatch(/^far staging\//);
  const other = keyFileProvider(join(folder, 'near.key'));
  await expect(openVault(openFileStore(join(folder, 'far')), other)).rejects.toMatchObject({ code: 'wrong-key' });
  expect((await readFile(join(folder, 'far', 'vault.json'), 'utf8')).includes(near.vault.id)).toBe(false);
});
