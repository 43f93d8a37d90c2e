import { afterAll, beforeAll, expect, test } from 'vitest';
import { SEGMENT_SIZE } from '#vault/words.ts';
import type { FunctionHost } from '../../../functions/host/function-host.ts';
import { type Desk, openDesk } from '../command-line/ekko.ts';
import { range, writeImage } from '../command-line/test-image.ts';
import { openOneFunction } from '../host/one-function.ts';

let desk: Desk;
let host: FunctionHost;

beforeAll(async () => {
  desk = await openDesk();
  await desk.run(['init', 'vault', '--no-escrow']);
  for (let i = 0; i < 2; i++) {
    await writeImage(desk.path('disk.img'), { size: 4 * SEGMENT_SIZE, segments: range(0, 4) });
    await desk.run(['backup', 'vault', 'disk.img']);
  }
  const { points } = JSON.parse((await desk.run(['points', 'vault', '--json'])).output);
  await desk.run(['delete', 'vault', points[0].id, '--json']);
  host = openOneFunction('sweeper', { EKKO_VAULT: desk.path('vault'), EKKO_KEY_FILE: desk.path('key') });
});
afterAll(async () => {
  await host.close();
  await desk.remove();
});

test('the function keeps what can be brought back, says what it would do, does it, and then finds nothing left', async () => {
  expect(await host.invoke('sweeper', {})).toMatchObject({ sweep: { points: [], delayed: [{ delay: 'grace' }] } });
  const told = { points: { length: 1 }, removed: { points: { objects: 1 }, packs: { objects: 1 } } };
  expect(await host.invoke('sweeper', { dryRun: true, graceHours: 0 })).toMatchObject({
    sweep: { dryRun: true, ...told },
  });
  const done = await host.invoke('sweeper', { graceHours: 0, compact: true });
  expect(done).toMatchObject({ sweep: { dryRun: false, ...told }, compaction: { moved: { packs: 0 } } });
  expect(await host.invoke('sweeper', { graceHours: 0 })).toMatchObject({
    sweep: { removed: { packs: { objects: 0 } } },
  });
  expect((await desk.run(['verify', 'vault'])).code).toBe(0);
});

test.each([{ graceHours: -1 }, { compact: 'perhaps' }, { everything: true }, 'all'])(
  '%j is no request',
  async (event) => {
    await expect(host.invoke('sweeper', event)).rejects.toThrow(expect.objectContaining({ code: 'bad-input' }));
  },
);
