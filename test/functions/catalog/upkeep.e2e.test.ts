import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EkkoError } from '#vault/errors.ts';
import { type Lab, openLab } from './lab.ts';
import type { StubExporter } from './stub-exporter.ts';

const WEB = '11111111-1111-4111-8111-111111111111';
let lab: Lab;
let exporter: StubExporter;

beforeEach(async () => {
  lab = await openLab();
  exporter = await lab.addHost('c1');
  lab.addServer(WEB, { name: 'web' });
  exporter.addDisk(`${WEB}/root`, 4);
  await lab.addPolicy('shop', { servers: [WEB] }, { retention: { last: 2, within: '1h' } });
});
afterEach(() => lab.close());

async function backUp(content: number): Promise<string> {
  exporter.disks.get(`${WEB}/root`)?.write(1, content);
  const { body } = await lab.call('POST', '/v1/runs', { body: { policy: 'shop' } });
  await lab.call('POST', `/v1/runs/${body.run}/moment`);
  await lab.until(body.run, 'staged');
  await lab.call('POST', `/v1/runs/${body.run}/commit`);
  return body.run;
}

async function upkeep(wish: object) {
  await lab.call('POST', '/v1/vaults/main/upkeep', { body: wish });
  for (let tries = 0; tries < 500; tries++) {
    const { body } = await lab.call('GET', '/v1/vaults/main/upkeep');
    if (body.state !== 'running') return body;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('The upkeep does not end.');
}

describe('points', () => {
  test('are listed newest first, in pages, by policy', async () => {
    const runs = [await backUp(1), await backUp(2), await backUp(3)].reverse();
    const first = await lab.call('GET', '/v1/vaults/main/points?limit=2');
    const second = await lab.call('GET', `/v1/vaults/main/points?limit=2&marker=${first.body.next}`);
    const pointsOf = ({ body }: { body: { points: { point: string }[] } }) => body.points.map(({ point }) => point);
    expect([...pointsOf(first), ...pointsOf(second)]).toEqual(runs);
    expect(second.body.next).toBeUndefined();
    expect((await lab.call('GET', '/v1/vaults/main/points?group=other')).body.points).toEqual([]);
    expect((await lab.call('GET', '/v1/vaults/main/points?marker=nothing')).status).toBe(400);
    expect((await lab.call('GET', '/v1/vaults/main/points/nothing')).body.code).toBe('point-unknown');
    expect((await lab.call('GET', `/v1/vaults/main/points/${runs[0]}`, { token: 'reader' })).body.members[0].name).toBe(
      `${WEB}/root`,
    );
  });
});

describe('an upkeep', () => {
  test('applies the retention of the vault’s policies, sweeps, and verifies', async () => {
    await backUp(1);
    const done = await upkeep({ retention: true, sweep: true, verify: 100 });
    expect(done).toMatchObject({ state: 'done', report: { verify: { findings: [] } } });
    const { journal } = await lab.vaults.look('a', 'swift:backups');
    expect(journal.state().retention.get('shop')?.policy).toEqual({ last: 2, withinHours: 1, timeZone: 'UTC' });
    const { position } = journal.state();
    await upkeep({ retention: true });
    expect((await lab.vaults.look('a', 'swift:backups')).journal.state().position).toBe(position);
  });

  test('that is dry says what it would do and changes nothing', async () => {
    await backUp(1);
    const before = (await lab.vaults.look('a', 'swift:backups')).journal.state().position;
    expect((await upkeep({ retention: true, sweep: true, dryRun: true })).state).toBe('done');
    expect((await lab.vaults.look('a', 'swift:backups')).journal.state().position).toBe(before);
  });

  test('that fails says why', async () => {
    lab.vaults.failure = new EkkoError('store-failed', 'Swift is on fire.');
    expect(await upkeep({ sweep: true })).toMatchObject({ state: 'failed', problem: 'Swift is on fire.' });
    expect(lab.vaults.openNow()).toBe(0);
  });

  test('of nothing is refused, and there is none before the first', async () => {
    expect((await lab.call('POST', '/v1/vaults/main/upkeep', { body: { dryRun: true, verify: 0 } })).status).toBe(400);
    expect((await lab.call('GET', '/v1/vaults/main/upkeep')).status).toBe(404);
    expect((await lab.call('POST', '/v1/vaults/main/upkeep', { token: 'reader', body: { sweep: true } })).status).toBe(
      403,
    );
  });
});
