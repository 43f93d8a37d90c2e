import { describe } from 'vitest';
import { openS3Store } from '#vault/store/s3-store.ts';
import { newBucket, useCeph } from '../../../cloud/ceph.ts';
import { describeObjectStore } from '../../../conformance/object-store.ts';
import { openFakeS3 } from '../../../fake-s3.ts';
import { openFaultyHttp } from '../../../faulty-http.ts';
import { lacks } from '../../../setup/cache.ts';
import { describeS3Faults, describeS3Patience } from './s3-fault-tests.ts';

const environment = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' };

describeObjectStore('S3 in memory, by pages of 7', async () => {
  const { answer, bucket } = openFakeS3('bucket', 7);
  const { url } = await openFaultyHttp(answer);
  return openS3Store(`s3://${bucket}/vaults?endpoint=${url}`, environment);
});

describeS3Patience('a store in memory', async () => {
  const { answer, bucket } = openFakeS3();
  return { server: answer, bucket, environment };
});

describe.skipIf(lacks('ceph'))('with a real store behind the faults', () => {
  describeS3Faults('a RADOS Gateway', async () => {
    const ceph = await useCeph();
    const { name, ...bucket } = await newBucket(ceph);
    return { server: ceph.endpoint, bucket: name, environment: bucket.environment };
  });
});
