import { readdir, rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SEGMENT_SIZE } from '#vault/words.ts';
import type { FunctionHost } from '../../../functions/host/function-host.ts';
import type { VerifyReport } from '../../../functions/verifier/report.ts';
import { type Desk, openDesk } from '../command-line/ekko.ts';
import { range, writeImage } from '../command-line/test-image.ts';
import { openOneFunction } from '../host/one-function.ts';

let desk: Desk;
let host: FunctionHost;

const openHost = (environment: Readonly<Record<string, string>>) => openOneFunction('verifier', environment);
const ask = (event: unknown, by = host) => by.invoke('verifier', event) as Promise<VerifyReport>;

beforeAll(async () => {
  desk = await openDesk();
  await desk.run(['init', 'vault', '--no-escrow']);
  await writeImage(desk.path('disk.img'), { size: 40 * SEGMENT_SIZE, segments: range(0, 40) });
  await desk.run(['backup', 'vault', 'disk.img']);
  host = openHost({ EKKO_VAULT: desk.path('vault'), EKKO_KEY_FILE: desk.path('key') });
});
afterAll(async () => {
  await host.close();
  await desk.remove();
});

test('a share of the vault is looked at, next time another one, and all of it gets its turn', async () => {
  const looks = [await ask({ percent: 50 }), await ask({ percent: 50 })];
  const whole = await ask({});
  expect(whole).toMatchObject({ findings: [], segments: 40 });
  expect(looks.reduce((sum, { objects }) => sum + objects, 0)).toBe(whole.objects);
});

test('without a key it compares names, and records nothing', async () => {
  const keyless = openHost({ EKKO_VAULT: desk.path('vault') });
  const entries = await readdir(desk.path('vault/journal'));
  expect(await ask({ keyless: true }, keyless)).toMatchObject({ findings: [], segments: 0 });
  await keyless.close();
  expect(await readdir(desk.path('vault/journal'))).toEqual(entries);
});

test('what is missing is found, and dedupe is told', async () => {
  const packs = await readdir(desk.path('vault/packs'), { recursive: true });
  const pack = packs.find((name) => name.length > 10) ?? '';
  await rm(desk.path(`vault/packs/${pack}`));
  expect((await ask({})).findings).toMatchObject([{ object: `packs/${pack}`, problem: 'object-missing' }]);
  const { output } = await desk.run(['backup', 'vault', 'other=disk.img', '--json']);
  expect(JSON.parse(output).point.disks[0].newBytes).toBe(40 * SEGMENT_SIZE);
});

test.each([{ percent: 0 }, { percent: 101 }, { shards: [1] }, 'all'])('%j is no request', async (event) => {
  await expect(ask(event)).rejects.toThrow(expect.objectContaining({ code: 'bad-input' }));
});
