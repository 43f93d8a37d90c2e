import { afterAll, beforeAll, expect, test } from 'vitest';
import { SEGMENT_SIZE } from '#vault/words.ts';
import type { FunctionHost } from '../../../functions/host/function-host.ts';
import { type Desk, openDesk } from '../command-line/ekko.ts';
import { writeImage } from '../command-line/test-image.ts';
import { openOneFunction } from '../host/one-function.ts';

let desk: Desk;
let host: FunctionHost;

beforeAll(async () => {
  desk = await openDesk();
  await desk.run(['init', 'vault', '--no-escrow']);
  await writeImage(desk.path('disk.img'), { size: 2 * SEGMENT_SIZE, segments: [0] });
  for (const group of ['web', 'web', 'db', 'db']) await desk.run(['backup', 'vault', 'disk.img', '--group', group]);
  await desk.run(['retention', 'vault', '--set', 'last=1', '--confirm']);
  host = openOneFunction('retention', { EKKO_VAULT: desk.path('vault'), EKKO_KEY_FILE: desk.path('key') });
});
afterAll(async () => {
  await host.close();
  await desk.remove();
});

const report = (counts: Record<string, number>) => ({
  groups: Object.entries(counts).map(([group, count]) => ({ group, expired: { length: count } })),
});

test('the function says what it would do, does it for one group, then for all, and then finds nothing left', async () => {
  expect(await host.invoke('retention', { dryRun: true })).toMatchObject({
    dryRun: true,
    ...report({ db: 1, web: 1 }),
  });
  expect(await host.invoke('retention', { group: 'web' })).toMatchObject({ dryRun: false, ...report({ web: 1 }) });
  expect(await host.invoke('retention', {})).toMatchObject(report({ db: 1, web: 0 }));
  expect(await host.invoke('retention', {})).toMatchObject(report({ db: 0, web: 0 }));
  const { points } = JSON.parse((await desk.run(['points', 'vault', '--json'])).output);
  expect(points).toMatchObject([{ group: 'web' }, { group: 'db' }]);
});

test.each([{ group: '' }, { confirmed: true }, { dryRun: 'perhaps' }, 'web'])('%j is no request', async (event) => {
  await expect(host.invoke('retention', event)).rejects.toThrow(expect.objectContaining({ code: 'bad-input' }));
});
