// npm run check: types, lint and format, unit tests; what to run before each commit.
import { join } from 'node:path';
import { cache } from './setup/cache.ts';
import { runCheck, runTests, type StepResult } from './setup/steps.ts';

/** All checks that need nothing but npm packages, at the same time. */
export function check(): Promise<StepResult[]> {
  return Promise.all([
    // What has not changed since the last time is not looked at again.
    runCheck('types', 'tsc', ['--noEmit', '--incremental', '--tsBuildInfoFile', join(cache, 'types.tsbuildinfo')]),
    runCheck('lint', 'biome', ['check', '.']),
    // By default one core is kept free, which on two cores halves the speed.
    runTests('unit', ['--project', 'unit-alone', '--maxWorkers=2'], false),
  ]);
}

if (import.meta.main) {
  const results = await check();
  process.exitCode = results.every(({ ok }) => ok) ? 0 : 1;
}
