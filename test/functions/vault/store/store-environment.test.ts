import { expect, test } from 'vitest';
import { storeEnvironment } from '#vault/store/store-environment.ts';

test('a thread is handed what stores read, and no more', () => {
  const stores = { AWS_ACCESS_KEY_ID: 'a', OS_CLOUD: 'b', HOME: '/root', PATH: '/bin', https_proxy: 'http://p' };
  const others = { EKKO_VAULT: 'x', NODE_OPTIONS: '--inspect', POWERTOOLS_LOG_LEVEL: 'DEBUG', MY_AWS_KEY: 'y' };
  expect(storeEnvironment({ ...stores, ...others, AWS_PROFILE: undefined })).toEqual(stores);
});
