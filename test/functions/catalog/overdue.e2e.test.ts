import { afterEach, beforeEach, expect, test } from 'vitest';
import { openRegistry } from '../../../functions/catalog/registry/registry.ts';
import { type Lab, openLab } from './lab.ts';

const WEB = '11111111-1111-4111-8111-111111111111';
let lab: Lab;

/** Policies that were made two days ago, with a schedule each hour. */
beforeEach(async () => {
  lab = await openLab();
  const exporter = await lab.addHost('c1');
  lab.addServer(WEB, { name: 'web' });
  exporter.addDisk(`${WEB}/root`, 1);
  await lab.call('PUT', '/v1/vaults/main', { body: { store: 'swift:backups', escrow: 'waived' } });
  await lab.call('PUT', '/v1/vaults/other', { body: { store: 'swift:other', escrow: 'waived' } });
  const updatedAt = new Date(Date.now() - 48 * 3_600_000).toISOString();
  for (const [policy, vault] of [
    ['a', 'main'],
    ['b', 'main'],
    ['c', 'other'],
  ] as const) {
    const definition = {
      vault,
      members: { servers: [WEB] },
      quiesce: 'never',
      schedule: { cron: '0 * * * *', timeZone: 'UTC' },
    };
    await openRegistry(lab.registry).write(['policies', 'a', policy], { policy, definition, updatedAt }, 0);
  }
});
afterEach(() => lab.close());

const namesAt = async (query: string) =>
  (await lab.call('GET', `/v1/policies${query}`)).body.policies.map(({ policy }: { policy: string }) => policy);

test('a policy that no run has begun for is overdue since its first time, in lists too, by vault and in pages', async () => {
  const { body } = await lab.call('GET', '/v1/policies/a');
  expect(Date.now() - Date.parse(body.overdue)).toBeGreaterThan(46 * 3_600_000);
  expect(await namesAt('?overdue=true')).toEqual(['a', 'b', 'c']);
  expect(await namesAt('?overdue=true&vault=other')).toEqual(['c']);
  const { body: first } = await lab.call('GET', '/v1/policies?overdue=true&limit=2');
  expect([first.policies.length, first.next]).toEqual([2, 'b']);
  expect(await namesAt('?overdue=true&limit=2&marker=b')).toEqual(['c']);
});

test('a run that begins ends that, also one that fails later', async () => {
  const { body } = await lab.call('POST', '/v1/runs', { body: { policy: 'a' } });
  expect((await lab.call('GET', '/v1/policies/a')).body).toMatchObject({ openRun: body.run });
  expect((await lab.call('GET', '/v1/policies/a')).body.overdue).toBeUndefined();
  await lab.call('DELETE', `/v1/runs/${body.run}`);
  expect((await lab.call('GET', '/v1/policies/a')).body.overdue).toBeUndefined();
  expect((await lab.call('GET', '/v1/policies/a')).body.openRun).toBeUndefined();
  expect(await namesAt('?overdue=true')).toEqual(['b', 'c']);
  expect(await namesAt('')).toEqual(['a', 'b', 'c']);
});
