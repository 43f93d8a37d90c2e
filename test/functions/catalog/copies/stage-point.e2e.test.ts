import { beforeEach, expect, test } from 'vitest';
import { EkkoError } from '#vault/errors.ts';
import { startRun } from '#vault/runs.ts';
import { placeOf, stagingKey } from '#vault/store/object-names.ts';
import type { Vault } from '#vault/vault.ts';
import { type StagingVault, stagePoint } from '../../../../functions/catalog/copies/stage-point.ts';
import { memoryPlaces, openTestVaults } from '../test-vaults.ts';

const DISKS = ['root', 'data', 'logs'].map((name) => ({ name, size: 65_536, manifest: '0'.repeat(64) }));
const POINT = { run: '20261120-191503-7c1e9a', disks: DISKS };
const upload = async () => ({ url: 'http://place/', query: '?temp_url_sig=secret' });

let source: Vault;
let target: Vault;
let run: string;

beforeEach(async () => {
  const vaults = openTestVaults(memoryPlaces());
  const caller = { token: 'alice', project: 'a', user: 'alice', roles: [], expiresAt: Date.now() + 3_600_000 };
  for (const store of ['swift:near', 'swift:far'])
    await vaults.make(caller, { vault: 'x', store, recipients: [], escrowWaived: true });
  [source, target] = [await vaults.look('a', 'swift:near'), await vaults.look('a', 'swift:far')];
  const disks = DISKS.map(({ name }) => name);
  run = await startRun(target, { group: 'shop', disks, host: 'catalog', process: 'copy' }, new Date());
});

async function stageParts(): Promise<void> {
  for (const disk of [0, 1])
    for (const part of [0, 1]) await target.store.create(stagingKey({ run, disk, part }), [Buffer.from('nonsense')]);
}

test('a part that is refused ends it, is taken up once, and is told when nothing is staged any more', async () => {
  const ended = Promise.withResolvers<void>();
  const reading: StagingVault = {
    vault: source,
    async invoke() {
      await stageParts();
      await ended.promise;
      return { bytesRead: 0 };
    },
  };
  const taken: string[] = [];
  const lists: string[] = [];
  const store: Vault['store'] = {
    ...target.store,
    list(prefix, options) {
      lists.push(prefix);
      return target.store.list(prefix, options);
    },
  };
  const refusing = {
    vault: { ...target, store },
    upload,
    async invoke(_: string, event: unknown) {
      const [key = ''] = /staging\/[^"\\]+/.exec(JSON.stringify(event)) ?? [];
      taken.push(key);
      throw new EkkoError('part-refused', `${key} is nonsense.`);
    },
  };
  let told = false;
  const staged = stagePoint(reading, refusing, POINT, run).finally(() => {
    told = true;
  });
  staged.catch(() => undefined);
  await expect.poll(() => taken.length, { timeout: 30_000 }).toBe(4);
  // Two looks more, were there any.
  await new Promise((resolve) => setTimeout(resolve, 2500));
  expect(told).toBe(false);
  ended.resolve();
  await expect(staged).rejects.toMatchObject({ code: 'part-refused' });
  expect(new Set(taken).size).toBe(taken.length);
  expect(taken.map((key) => placeOf(key).run)).toEqual([run, run, run, run]);
  expect(new Set(lists)).toEqual(new Set([`staging/${run}/`]));
});

test('each disk is staged with a permission of its own, one after the other', async () => {
  const events: { disk: string; ticket: { disks: { name: string }[]; upload: { query: string } } }[] = [];
  let permissions = 0;
  const reading: StagingVault = {
    vault: source,
    async invoke(_, event) {
      events.push(structuredClone(event) as (typeof events)[number]);
      return { bytesRead: 5 };
    },
  };
  const place = {
    ...{ vault: target, invoke: async () => undefined },
    upload: async () => ({ url: 'http://place/', query: `?sig=${++permissions}` }),
  };
  expect(await stagePoint(reading, place, POINT, run)).toBe(15);
  expect(events.map(({ disk, ticket }) => [disk, ticket.disks.map(({ name }) => name), ticket.upload.query])).toEqual([
    ['root', ['root'], '?sig=1'],
    ['data', ['data'], '?sig=2'],
    ['logs', ['logs'], '?sig=3'],
  ]);
});
