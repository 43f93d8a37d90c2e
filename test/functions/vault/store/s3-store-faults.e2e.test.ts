import { openFakeS3 } from '../../../fake-s3.ts';
import { describeS3Faults } from './s3-fault-tests.ts';

describeS3Faults('a store in memory', async () => {
  const { answer, bucket } = openFakeS3();
  return { server: answer, bucket, environment: { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' } };
});
