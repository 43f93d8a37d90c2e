import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lacks } from '../setup/cache.ts';
import { useCloudWithServers } from './compute.ts';
import { type EkkoSettings, useEkko } from './ekko.ts';
import { executionsOf } from './executions.ts';
import { openTenant, type Tenant } from './tenant.ts';

const RUN = 'ekko.backup.v1.run';
const START_LIMIT_MS = 900_000;

interface Member {
  readonly name: string;
  readonly size: number;
  readonly changedBytes: number;
  readonly image?: string;
}

describe.skipIf(lacks('control-plane', 'swift', 'compute', 'guest', 'mariadb'))('base images in a cloud', () => {
  let cloud: Awaited<ReturnType<typeof useCloudWithServers>>;
  let ekko: EkkoSettings;
  let tenant: Tenant;

  beforeAll(async () => {
    [cloud, ekko] = await Promise.all([useCloudWithServers(), useEkko()]);
    tenant = await openTenant(cloud, ekko);
  }, START_LIMIT_MS);

  afterAll(() => tenant?.leave());

  async function backUp(policy: string): Promise<readonly Member[]> {
    const { mistral } = cloud;
    const { result } = await executionsOf(mistral.url, tenant.token).run(RUN, { policy });
    expect(result).toMatchObject({ outcome: 'committed', failed: [] });
    const [newest] = await tenant.points(policy);
    const path = `/v1/vaults/${policy}/points/${newest?.point}`;
    return (await tenant.call<{ members: Member[] }>('GET', path)).members;
  }

  test('two servers that Nova built from a Glance image: it is stored once, and of each what its overlay holds; so of a third', async () => {
    const policy = `images-${randomBytes(4).toString('hex')}`;
    const servers = [await tenant.boot('web-1'), await tenant.boot('web-2')];
    await tenant.call('PUT', `/v1/vaults/${policy}`, { store: `swift:${policy}`, escrow: 'waived' });
    const cover = (ids: string[]) =>
      tenant.call('PUT', `/v1/policies/${policy}`, { vault: policy, members: { servers: ids }, quiesce: 'prefer' });
    await cover(servers.map(({ id }) => id));
    const first = await backUp(policy);
    const [image = ''] = first.flatMap((member) => member.image ?? []);
    expect(first.map((member) => member.image)).toEqual([image, image]);
    const group = encodeURIComponent(image);
    const kept = await tenant.call<{ points: { changedBytes: number }[] }>(
      'GET',
      `/v1/vaults/${policy}/points?group=${group}`,
    );
    const [stored, ...others] = kept.points;
    expect(others).toEqual([]);
    console.log(`image ${stored?.changedBytes} bytes; servers ${first.map(({ changedBytes }) => changedBytes)}`);
    for (const { changedBytes } of first) expect(changedBytes).toBeLessThan((stored?.changedBytes ?? 0) / 2);

    const third = await tenant.boot('web-3');
    await cover([...servers, third].map(({ id }) => id));
    const second = await backUp(policy);
    const added = second.find(({ name }) => name.startsWith(third.id));
    expect(added).toMatchObject({ image });
    console.log(`third server ${added?.changedBytes} bytes`);
    const again = await tenant.call<{ points: unknown[] }>('GET', `/v1/vaults/${policy}/points?group=${group}`);
    expect(again.points).toHaveLength(1);
  });
});
