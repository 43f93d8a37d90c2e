import { defineConfig } from 'vitest/config';

// `unit` (and `unit-alone`) is fast and needs no more than npm packages; `e2e` starts guests, and services up to Heat and Mistral; `cloud` a whole OpenStack with servers;
// `cloud-down` takes that cloud's services away for a while, or adds a host, so that nothing else may use them. Whatever runs in one call shares its services, and groups come one after another.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          // Milliseconds are the rule; on a machine that does other work at the time that is no fault.
          testTimeout: 60_000,
          // Most of the time would go into loading the same modules for each file anew.
          isolate: false,
          include: ['test/**/*.test.ts'],
          exclude: ['alone', 'e2e', 'cloud', 'cloud-down'].map((kind) => `test/**/*.${kind}.test.ts`),
        },
      },
      {
        test: {
          name: 'unit-alone',
          // They put other modules in the place of ours, or start functions with an environment of their own.
          testTimeout: 60_000,
          include: ['test/**/*.alone.test.ts'],
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/**/*.e2e.test.ts'],
          globalSetup: ['test/cloud/stop-services.ts'],
          // Emulated guests are slow, and slower yet with a neighbour.
          // Real servers that are killed and restarted beside other tests: what fails once is looked at again, and told.
          retry: 2,
          testTimeout: 180_000,
          hookTimeout: 180_000,
          // Most of them wait for others most of the time.
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'cloud',
          include: ['test/**/*.cloud.test.ts'],
          globalSetup: ['test/cloud/stop-services.ts'],
          retry: 1,
          testTimeout: 400_000,
          hookTimeout: 900_000,
          maxWorkers: 3,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'cloud-down',
          include: ['test/**/*.cloud-down.test.ts'],
          globalSetup: ['test/cloud/stop-services.ts'],
          retry: 1,
          testTimeout: 400_000,
          hookTimeout: 900_000,
          maxWorkers: 1,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
