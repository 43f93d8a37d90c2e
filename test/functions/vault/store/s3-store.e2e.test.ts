import { describe } from 'vitest';
import { openS3Store } from '#vault/store/s3-store.ts';
import { newBucket, useCeph } from '../../../cloud/ceph.ts';
import { describeObjectStore } from '../../../conformance/object-store.ts';
import { lacks } from '../../../setup/cache.ts';

const MIB = 1024 * 1024;

describe.skipIf(lacks('ceph'))('on a RADOS Gateway', () => {
  const traits = { listed: 1200, sideBySide: { objects: 16, bytes: 16 * MIB } };
  describeObjectStore(
    'S3',
    async () => {
      const { url, environment } = await newBucket(await useCeph());
      return openS3Store(url.replace('?', '/some/Folder?'), environment);
    },
    traits,
  );
});
