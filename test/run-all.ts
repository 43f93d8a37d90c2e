// npm test: the checks, then the tests that start guests and other programs. The last line counts: N passed, N failed, N skipped.
import { check } from './check.ts';
import { readAvailable } from './setup/cache.ts';
import { runTests } from './setup/steps.ts';
import { addCounts, countsLine } from './setup/test-counts.ts';

const clouds = ['--project', 'cloud', '--project', 'cloud-down'];
const results = [...(await check()), await runTests('e2e', clouds, true)];
const counts = addCounts(results.map((result) => result.counts));

for (const line of counts.triedAgain) console.log(line);
for (const sentence of readAvailable().leftOut) console.log(`Left out. ${sentence}`);
const { CI } = process.env;
const skippedInCi = CI === 'true' && counts.skipped > 0;
if (skippedInCi) console.log('In CI nothing may be skipped');
console.log(countsLine(counts));
process.exitCode = results.every(({ ok }) => ok) && !skippedInCi ? 0 : 1;
