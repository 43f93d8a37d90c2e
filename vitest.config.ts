import { defineConfig } from 'vitest/config';

// `unit` is fast and needs no more than npm packages; `e2e` starts guests and other programs.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.e2e.test.ts'],
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/**/*.e2e.test.ts'],
          globalSetup: ['test/cloud/stop-services.ts'],
          // Emulated guests are slow, and slower yet with a neighbour.
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
