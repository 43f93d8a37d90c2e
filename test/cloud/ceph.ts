import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CreateBucketCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import { freePort, startDaemon, untilItAnswers, useService } from './service.ts';

/** A Ceph RADOS Gateway, and a user of its S3 API. */
export interface CephSettings {
  /** `http://127.0.0.1:<port>` */
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** For `radosgw-admin -c`, `ceph -c`. */
  readonly configuration: string;
}

/** A Ceph of one monitor, one OSD in memory and one gateway, shared by the tests of a run. Each test makes its own bucket. */
export function useCeph(): Promise<CephSettings> {
  return useService('ceph', startCeph);
}

/** Ceph's programs wait for ever for a cluster that is not there. */
const run = (program: string, args: readonly string[]) =>
  promisify(execFile)(program, args, { timeout: 120_000, killSignal: 'SIGKILL' });

async function startCeph(folder: string): Promise<CephSettings> {
  const configuration = join(folder, 'ceph.conf');
  const ports = { mon: await freePort(), rgw: await freePort() };
  const fsid = randomUUID();
  await writeFile(configuration, configurationOf(folder, fsid, ports));
  for (const place of ['mon', 'osd', 'rgw']) await mkdir(join(folder, place));
  await startMonitor(folder, configuration, fsid, ports.mon);
  await startOsd(folder, configuration);
  await startDaemon(folder, 'radosgw', ['radosgw', '-f', '-n', 'client.rgw', '-c', configuration]);
  const endpoint = `http://127.0.0.1:${ports.rgw}`;
  const { accessKey, secretKey } = await newUser({ configuration });
  await untilItAnswers(() => fetch(endpoint).then((answer) => answer.text()), 120);
  return { endpoint, accessKey, secretKey, configuration };
}

function configurationOf(folder: string, fsid: string, { mon, rgw }: { mon: number; rgw: number }): string {
  return `[global]
fsid = ${fsid}
mon host = v1:127.0.0.1:${mon}
public network = 127.0.0.0/8
ms bind msgr2 = false
auth cluster required = none
auth service required = none
auth client required = none
run dir = ${folder}
admin socket = ${folder}/$name.asok
log file = ${folder}/$name.log
crash dir = ${folder}
mon data = ${folder}/mon
mon data avail warn = 0
mon data avail crit = 0
mon allow pool size one = true
paxos propose interval = 0.05
paxos min wait = 0.01
osd data = ${folder}/osd
osd objectstore = memstore
memstore device bytes = ${4 * 1024 ** 3}
memstore page set = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd crush update on start = false
osd class update on start = false
rgw data = ${folder}/rgw
# Removed objects lie in memory: they shall be gone in seconds, not in hours.
rgw gc obj min wait = 1
rgw gc processor period = 1
rgw frontends = beast endpoint=127.0.0.1:${rgw}
rgw enable apis = s3, swift, swift_auth, admin, notifications
rgw swift account in url = true
`;
}

async function startMonitor(folder: string, configuration: string, fsid: string, port: number): Promise<void> {
  const map = join(folder, 'monmap');
  await run('monmaptool', ['--create', '--addv', 'a', `[v1:127.0.0.1:${port}]`, '--fsid', fsid, map]);
  await run('ceph-mon', ['--mkfs', '-i', 'a', '-c', configuration, '--monmap', map]);
  await startDaemon(folder, 'ceph-mon', ['ceph-mon', '-f', '-i', 'a', '-c', configuration]);
}

async function startOsd(folder: string, configuration: string): Promise<void> {
  const uuid = randomUUID();
  // Both may be done again. Without authentication a client now and then asks before it knows the cluster's id, and is refused.
  const ceph = (...command: string[]) =>
    untilItAnswers(() => run('ceph', ['-c', configuration, '--connect-timeout', '60', ...command]));
  await ceph('osd', 'new', uuid);
  // An OSD that does so by itself at its start meets the same refusal, and ends.
  await ceph('osd', 'crush', 'add', 'osd.0', '1', 'root=default');
  await run('ceph-osd', ['-i', '0', '--mkfs', '--osd-uuid', uuid, '-c', configuration]);
  await startDaemon(folder, 'ceph-osd', ['ceph-osd', '-f', '-i', '0', '-c', configuration]);
}

export interface CephUser {
  readonly name: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

/** A new user, who may do nothing with the buckets of others. */
export async function newUser({ configuration }: Pick<CephSettings, 'configuration'>): Promise<CephUser> {
  const [name, accessKey, secretKey] = [randomBytes(6), randomBytes(10), randomBytes(20)].map((b) => b.toString('hex'));
  const user = { name: `user-${name}`, accessKey: String(accessKey), secretKey: String(secretKey) };
  const keys = [`--access-key=${user.accessKey}`, `--secret-key=${user.secretKey}`];
  const names = [`--uid=${user.name}`, '--display-name=Tests'];
  await run('radosgw-admin', ['-c', configuration, 'user', 'create', ...names, ...keys]);
  return user;
}

export interface CephBucket {
  readonly name: string;
  /** As `ekko` takes it. */
  readonly url: string;
  /** The variables that give the right to it. */
  readonly environment: Readonly<Record<string, string>>;
  readonly client: S3Client;
}

/** A new bucket; with `versioned`, one that keeps all versions of its objects; with `locking`, one with Object Lock. */
export async function newBucket(ceph: CephSettings, { versioned = false, locking = false } = {}): Promise<CephBucket> {
  const { endpoint, accessKey: accessKeyId, secretKey: secretAccessKey } = ceph;
  const name = `ekko-${randomBytes(6).toString('hex')}`;
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
  await client.send(new CreateBucketCommand({ Bucket: name, ObjectLockEnabledForBucket: locking }));
  const status = { Bucket: name, VersioningConfiguration: { Status: 'Enabled' } } as const;
  if (versioned) await client.send(new PutBucketVersioningCommand(status));
  const environment = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  return { name, url: `s3://${name}?endpoint=${endpoint}`, environment, client };
}
