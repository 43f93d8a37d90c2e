import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PutBucketPolicyCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { type CephBucket, type CephSettings, newBucket, newUser, useCeph } from '../../cloud/ceph.ts';
import { answering, type Fault, half, openFaultyHttp, resetAfter, resetBefore } from '../../faulty-http.ts';
import { checkout, lacks } from '../../setup/cache.ts';
import { type Desk, openDesk } from './ekko.ts';
import { range, writeImage } from './test-image.ts';

const MIB = 1024 ** 2;

/** The policy in `docs/operations.md`, for a bucket, given to a user. */
async function toldPolicy(bucket: string, user: string): Promise<string> {
  const told = await readFile(join(checkout, 'docs', 'operations.md'), 'utf8');
  const [, json = ''] = /^## Stores: S3$.*?^```json$(.*?)^```$/ms.exec(told) ?? [];
  const policy = JSON.parse(json.replaceAll('BUCKET', bucket));
  const Principal = { AWS: [`arn:aws:iam:::user/${user}`] };
  return JSON.stringify({ ...policy, Statement: policy.Statement.map((each: object) => ({ ...each, Principal })) });
}

describe.skipIf(lacks('ceph'))('a vault in a bucket of S3', () => {
  let ceph: CephSettings;
  let bucket: CephBucket;
  let desk: Desk;
  beforeAll(async () => {
    ceph = await useCeph();
    bucket = await newBucket(ceph);
    desk = await openDesk(bucket.environment);
    await writeImage(desk.path('disk.img'), { size: 20 * MIB, segments: range(0, 200) });
  });
  afterAll(() => desk.remove());

  /** Runs `ekko`, which must go well and must not tell the credentials. */
  async function ekko(...args: string[]) {
    const { code, output, errors } = await desk.run([...args, '--json']);
    const document = JSON.parse(output);
    expect({ code, errors, error: document.error }).toEqual({ code: 0, errors: '', error: undefined });
    expect(output).not.toContain(ceph.secretKey);
    return document;
  }

  async function overwrite(segments: readonly number[]): Promise<void> {
    const file = await open(desk.path('disk.img'), 'r+');
    for (const segment of segments) await file.write(Buffer.alloc(9, segment), 0, 9, segment * SEGMENT_SIZE);
    await file.close();
  }

  async function expectRestored(url: string, target: string): Promise<void> {
    await ekko('restore', url, 'latest', target);
    expect((await readFile(desk.path(target))).equals(await readFile(desk.path('disk.img')))).toBe(true);
  }

  test('takes a backup, then what changed, gives both back and finds all well', async () => {
    const url = bucket.url.replace('?', '/vaults/web?');
    expect((await ekko('doctor', url)).findings.map(({ verdict }: { verdict: string }) => verdict)).not.toContain(
      'wrong',
    );
    expect(await ekko('init', url, '--no-escrow')).toMatchObject({ vault: { url } });
    const first = await ekko('backup', url, 'disk.img');
    expect(first.point.disks).toMatchObject([{ newBytes: 200 * SEGMENT_SIZE }]);
    await overwrite([5, 100, 300]);
    const second = await ekko('backup', url, 'disk.img');
    expect(second.point.disks).toMatchObject([{ newBytes: 3 * SEGMENT_SIZE }]);
    await expectRestored(url, 'restored.raw');
    await ekko('verify', url);
    await ekko('verify', url, '--keyless');
  });

  test('that is answered badly one time in four loses nothing', async () => {
    const faults: Fault[] = [answering(503), resetAfter, resetBefore, half(), answering(500), resetAfter];
    const suffered = new Map<string, number>();
    const front = await openFaultyHttp(ceph.endpoint, ({ number, method, path }) => {
      const times = suffered.get(method + path) ?? 0;
      // Whoever tries nine times must succeed, however requests happen to follow each other.
      if (number % 4 !== 0 || times === 4) return undefined;
      suffered.set(method + path, times + 1);
      return faults[(number / 4) % faults.length];
    });
    const url = `s3://${bucket.name}/bad-line?endpoint=${front.url}`;
    await ekko('init', url, '--no-escrow');
    await ekko('backup', url, 'disk.img');
    await overwrite([7, 301]);
    await ekko('backup', url, 'disk.img');
    await expectRestored(url, 'again.raw');
    await ekko('verify', url);
    expect(front.requests.length).toBeGreaterThan(60);
    await front.close();
  });

  test('needs no more rights than those that are told', async () => {
    const user = await newUser(ceph);
    const env = { AWS_ACCESS_KEY_ID: user.accessKey, AWS_SECRET_ACCESS_KEY: user.secretKey };
    const theirs = await openDesk(env);
    const url = bucket.url.replace('?', '/theirs?');
    const before = await theirs.run(['init', url, '--no-escrow']);
    expect(before.errors).toMatch(
      /AccessDenied \(HTTP 403\)\. Give these credentials the right to get, put and delete/,
    );
    const Policy = await toldPolicy(bucket.name, user.name);
    await bucket.client.send(new PutBucketPolicyCommand({ Bucket: bucket.name, Policy }));
    for (const args of [
      ['init', url, '--no-escrow'],
      ['backup', url, desk.path('disk.img')],
      ['verify', url],
      ['doctor', url],
    ]) {
      const { code, output } = await theirs.run([...args, '--json']);
      expect({ code, error: JSON.parse(output).error }).toEqual({ code: 0, error: undefined });
    }
    await theirs.remove();
  });

  test.each<readonly [string, (url: string) => string, NodeJS.ProcessEnv, RegExp]>([
    ['a bucket that is not there', (url) => url.replace('ekko-', 'no-'), {}, /The bucket no-\S+ is not there: make it/],
    ['an access key that is unknown', (url) => url, { AWS_ACCESS_KEY_ID: 'x' }, /does not know this access key/],
    ['a wrong secret key', (url) => url, { AWS_SECRET_ACCESS_KEY: 'hunter2' }, /secret key does not fit/],
    ['an endpoint that is not S3', (url) => `${url}/swift/v1`, {}, /not how S3 answers/],
  ])('is refused with %s, with what to do', async (_, change, environment, said) => {
    const other = await openDesk({ ...bucket.environment, ...environment });
    const { code, output, errors } = await other.run(['init', change(bucket.url), '--no-escrow']);
    expect({ code, output }).toEqual({ code: 1, output: '' });
    expect(errors).toMatch(said);
    expect(errors).not.toMatch(/hunter2/);
    await other.remove();
  });

  test('is refused where the bucket is versioned, as then Ceph gives one name to two writers', async () => {
    const versioned = await newBucket(ceph, { versioned: true });
    const { code, errors } = await desk.run(['init', versioned.url, '--no-escrow']);
    expect({ code, errors }).toEqual({ code: 1, errors: expect.stringMatching(/had no single winner/) });
  });
});
