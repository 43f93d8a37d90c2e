import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PATIENCE } from '#vault/store/s3-retry.ts';
import { openS3Store } from '#vault/store/s3-store.ts';
import { openFakeS3 } from '../../../fake-s3.ts';
import { openFaultyHttp } from '../../../faulty-http.ts';

/** A machine that knows nothing of AWS. */
beforeEach(() => {
  for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION', 'AWS_PROFILE', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'])
    vi.stubEnv(name, undefined);
  for (const name of ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE']) vi.stubEnv(name, '/nowhere');
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
});
afterEach(() => {
  vi.unstubAllEnvs();
});

const KEYS = { AWS_ACCESS_KEY_ID: 'mine', AWS_SECRET_ACCESS_KEY: 'secret' };
const once = { ...PATIENCE, attempts: 1 };

test('without credentials the message says where they are looked for', async () => {
  const store = await openS3Store('s3://bucket?region=eu-central-1', {}, once);
  await expect(store.get('a')).rejects.toMatchObject({
    code: 'store-failed',
    message: expect.stringMatching(/No credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/),
  });
});

test('without a region AWS cannot be asked, and the message says how to name it', async () => {
  const store = await openS3Store('s3://bucket', KEYS, once);
  await expect(store.get('a')).rejects.toMatchObject({
    code: 'store-failed',
    message: expect.stringMatching(/Region is missing.*region=… in the URL, or AWS_REGION/),
  });
});

test.each([
  ['of the environment that is given', KEYS, '', /Credential=mine\/\d+\/us-east-1\/s3/],
  ['with a session token', { ...KEYS, AWS_SESSION_TOKEN: 'token' }, '', /SignedHeaders=[^,]*x-amz-security-token/],
  ['for the region of the URL', { ...KEYS, AWS_REGION: 'other' }, '&region=RegionOne', /\/RegionOne\/s3/],
  ['for the region of the environment', { ...KEYS, AWS_REGION: 'other' }, '', /\/other\/s3/],
])('requests are signed by the credentials %s', async (_, environment, query, signature) => {
  const { answer, bucket } = openFakeS3();
  const front = await openFaultyHttp(answer);
  const store = await openS3Store(`s3://${bucket}?endpoint=${front.url}${query}`, environment, once);
  await store.create('a', [Buffer.from('x')]);
  expect(front.requests[0]?.headers.authorization).toMatch(signature);
  expect(front.requests[0]?.path).toMatch(/^\/bucket\/a/);
  await front.close();
});
