import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runInThreads, type ThreadedWork } from '#vault/restore/job-threads.ts';

const SERVE = JSON.stringify(new URL('../../../../functions/vault/restore/job-threads.ts', import.meta.url).href);
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ekko-test-threads-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A worker module whose handler is `body`. */
async function entry(name: string, body: string): Promise<URL> {
  const path = join(folder, `${name}.mjs`);
  await writeFile(path, body);
  return pathToFileURL(path);
}

function* numbers(count: number): Generator<number> {
  for (let i = 0; i < count; i++) yield i;
}

function work(url: URL, changes: Partial<ThreadedWork<number, number>> = {}): ThreadedWork<number, number> {
  return {
    entry: url,
    threads: 3,
    jobsPerThread: 2,
    data: { by: 2 },
    jobs: numbers(100),
    onResult: () => {},
    ...changes,
  };
}

describe('Jobs in threads', () => {
  it('are all done once, each with its result', async () => {
    const doubled = await entry(
      'double',
      `import { workerData } from 'node:worker_threads';
       const { serveJobs } = await import(${SERVE});
       serveJobs(async (n) => n * workerData.by);`,
    );
    const results = new Map<number, number>();
    await runInThreads(work(doubled, { onResult: (result, job) => results.set(job, result) }));
    expect(results.size).toBe(100);
    expect([...results].every(([job, result]) => result === 2 * job)).toBe(true);
  });

  it('fail with the code and message of the first failure, and begin no more', async () => {
    const failing = await entry(
      'fail',
      `const { serveJobs } = await import(${SERVE});
       serveJobs(async (n) => { if (n === 7) throw Object.assign(new Error('job 7'), { name: 'EkkoError', code: 'damaged' }); return n; });`,
    );
    let begun = 0;
    const counted = (function* () {
      for (const n of numbers(100_000)) {
        begun = n;
        yield n;
      }
    })();
    await expect(runInThreads(work(failing, { jobs: counted }))).rejects.toMatchObject({
      code: 'damaged',
      message: 'job 7',
    });
    expect(begun).toBeLessThan(10_000);
  });

  it.each([
    ['cannot be loaded', 'throw new Error("no such luck");', /no such luck/],
    ['ends by itself', 'process.exit(0);', /ended before/],
  ])('fail when the thread %s', async (name, body, message) => {
    await expect(runInThreads(work(await entry(name.replaceAll(' ', '-'), body)))).rejects.toThrow(message);
  });

  it('fail when a result cannot be taken', async () => {
    const echo = await entry('echo', `const { serveJobs } = await import(${SERVE}); serveJobs(async (n) => n);`);
    const onResult = () => {
      throw new Error('full');
    };
    await expect(runInThreads(work(echo, { onResult }))).rejects.toThrow('full');
  });

  it('end when they are told to', async () => {
    const waiting = await entry(
      'wait',
      `const { serveJobs } = await import(${SERVE}); serveJobs(() => new Promise(() => setInterval(() => {}, 1000)));`,
    );
    const reason = new Error('enough');
    await expect(runInThreads(work(waiting, { signal: AbortSignal.abort(reason) }))).rejects.toBe(reason);
    const controller = new AbortController();
    const running = runInThreads(work(waiting, { signal: controller.signal }));
    setTimeout(() => controller.abort(reason), 100);
    await expect(running).rejects.toBe(reason);
  });
});
