import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HEADER_READ_SIZE, sealedDataSize } from '#vault/format/staged-part.ts';
import { newIdentity } from '#vault/keys/identity.ts';
import { createKeyFile } from '#vault/keys/key-file.ts';
import { keyFileProvider } from '#vault/keys/key-provider.ts';
import { openFileStore } from '#vault/store/file-store.ts';
import { newSharedStaging, withSharedStaging } from '#vault/store/shared-staging.ts';
import { createVault, openVault, type Vault } from '#vault/vault.ts';
import { runBackup } from '../../../functions/command-line/run-backup.ts';
import { bundlePath } from '../../../functions/host/bundles.ts';
import { type FunctionHost, openFunctionHost } from '../../../functions/host/function-host.ts';
import { openFileSource } from '../../../host-exporter/changed-blocks/file-source.ts';
import { restored } from '../../restored.ts';

/** The very bundles, in worker threads, over a directory. */
let folder: string;
let image: Buffer;
const PART = 64;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-host-'));
  image = Buffer.concat([randomBytes(12 << 20), Buffer.alloc(4 << 20), randomBytes(5 << 20)]);
  await writeFile(join(folder, 'disk.img'), image);
  const identity = await createKeyFile(join(folder, 'key'));
  const recipients = [{ kind: 'key-file', publicKey: identity.publicKey }] as const;
  await createVault(openFileStore(join(folder, 'vault')), { recipients, noEscrow: true, now: new Date() });
});

afterEach(() => rm(folder, { recursive: true }));

const QUIET = { planned: () => undefined, read: () => undefined, staged: () => undefined, distrusted: () => undefined };

function hostOf(
  environment: Record<string, string> = {},
  staging = newSharedStaging(5, HEADER_READ_SIZE, sealedDataSize(PART)),
  { place = join(folder, 'vault'), privateKey }: { place?: string; privateKey?: Uint8Array } = {},
) {
  const store = withSharedStaging(openFileStore(place), staging);
  const host = openFunctionHost({
    workers: 2,
    callsPerWorker: 2,
    workerPath: bundlePath('function-worker'),
    bundles: {
      'segment-processor': bundlePath('segment-processor'),
      'point-committer': bundlePath('point-committer'),
    },
    environment: {
      EKKO_VAULT: place,
      ...(place === join(folder, 'vault') ? { EKKO_KEY_FILE: join(folder, 'key') } : {}),
      POWERTOOLS_LOG_LEVEL: 'SILENT',
      POWERTOOLS_METRICS_DISABLED: 'true',
      ...environment,
    },
    staging,
    ...(privateKey === undefined ? {} : { privateKey }),
  });
  return { host, store };
}

async function backUp(vault: Vault, host: FunctionHost) {
  const source = await openFileSource([{ name: 'disk', path: join(folder, 'disk.img') }]);
  return runBackup({
    vault,
    host,
    source,
    group: 'default',
    quiesce: 'never',
    readAll: undefined,
    auditShare: 0,
    bandwidth: undefined,
    partSegments: PART,
    partsWaiting: 4,
    watch: QUIET,
  });
}

test('a key that lies in no file goes to the workers in memory, and to those of its own host only', async () => {
  const { identity, privateKey } = newIdentity();
  const place = join(folder, 'in-memory');
  const recipients = [{ kind: 'barbican', publicKey: identity.publicKey }] as const;
  const provider = { origin: 'the test', identity: async () => identity };
  await createVault(openFileStore(place), { recipients, noEscrow: true, now: new Date() });
  const { host, store } = hostOf({}, undefined, { place, privateKey });
  const { host: another } = hostOf({}, undefined, { place });
  try {
    const opened = { ...(await openVault(openFileStore(place), provider)), store };
    const point = await backUp(opened, host);
    expect(sha(await restored(opened, point.id))).toBe(sha(image));
    await expect(backUp(opened, another)).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringMatching(/EKKO_KEY_FILE/),
    });
  } finally {
    await host.close();
    await another.close();
  }
});

test('the bundles in worker threads make a point that restores bit for bit; a second backup adds nothing', async () => {
  const { host, store } = hostOf();
  try {
    const vault = await openVault(store, keyFileProvider(join(folder, 'key')));
    const point = await backUp(vault, host);
    const again = await backUp(vault, host);
    expect(point.disks[0]?.newBytes).toBe(17 << 20);
    expect(again.disks[0]?.newBytes).toBe(0);
    expect(sha(await restored(vault, again.id))).toBe(sha(image));
  } finally {
    await host.close();
  }
});

test.each([
  ['a misspelt setting', { EKKO_VAULTT: 'x' }, /EKKO_VAULTT/],
  ['a level that zstd has not', { EKKO_COMPRESSION_LEVEL: '99' }, /EKKO_COMPRESSION_LEVEL/],
])('%s ends the backup with its name, and the next one works', async (_, environment, message) => {
  const broken = hostOf(environment);
  const vault = await openVault(broken.store, keyFileProvider(join(folder, 'key')));
  await expect(backUp(vault, broken.host)).rejects.toMatchObject({
    code: 'bad-input',
    message: expect.stringMatching(message),
  });
  await broken.host.close();
  const { host, store } = hostOf();
  const point = await backUp(await openVault(store, keyFileProvider(join(folder, 'key'))), host);
  expect(point.disks).toHaveLength(1);
  await host.close();
});

test('a function that does not exist, and a host that is closed, answer by name', async () => {
  const { host } = hostOf();
  await expect(host.invoke('no-such-function', {})).rejects.toMatchObject({ code: 'function-failed' });
  await host.close();
  await expect(host.invoke('segment-processor', {})).rejects.toMatchObject({ code: 'function-failed' });
});

test.each([
  ['not JSON', '{'],
  ['of no known form', '{"Records":[{"s3":{}}]}'],
  ['for a part that is not there', notice('staging/20260101-000000-000000/0000/00000000')],
  ['for a key that climbs', notice('staging/../vault.json')],
])('an event %s is answered with an error and harms nothing', async (_, body) => {
  const { host } = hostOf();
  const event = { Records: [{ messageId: '1', body }] };
  await expect(host.invoke('segment-processor', event)).rejects.toMatchObject({
    code: expect.stringMatching(/^(bad-input|object-missing)$/),
  });
  await host.close();
});

test('events for other keys, and the test event of AWS, are taken and left alone', async () => {
  const { host } = hostOf();
  for (const body of [notice('packs/aa/bb'), '{"Event":"s3:TestEvent"}']) {
    expect(await host.invoke('segment-processor', { Records: [{ messageId: '1', body }] })).toEqual({
      batchItemFailures: [],
    });
  }
  await host.close();
});

function notice(key: string): string {
  return JSON.stringify({ Records: [{ eventSource: 'aws:s3', s3: { object: { key } } }] });
}

function sha(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
