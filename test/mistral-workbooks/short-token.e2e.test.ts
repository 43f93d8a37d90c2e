import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { install } from '../../functions/command-line/install/install.ts';
import { readWorkbooks } from '../../functions/command-line/install/workbooks.ts';
import { callService } from '../cloud/call-service.ts';
import { type Executions, executionsOf } from '../cloud/executions.ts';
import { addUser, type KeystoneUser, logIn } from '../cloud/keystone.ts';
import { type MistralSettings, useMistral } from '../cloud/mistral.ts';
import { openTestCloud } from '../cloud/open-test-cloud.ts';
import { type StubCatalog, startStubCatalog } from '../cloud/stub-catalog.ts';
import { lacks } from '../setup/cache.ts';

const START_LIMIT_MS = 400_000;
const LIMIT_MS = 240_000;

let mistral: MistralSettings;
let tenant: KeystoneUser;
let stub: StubCatalog;

const newSession = async (): Promise<{ token: string; executions: Executions }> => {
  const { token } = await logIn(mistral.keystone, tenant);
  return { token, executions: executionsOf(mistral.url, token) };
};

describe.skipIf(lacks('control-plane'))(
  'a backup that takes longer than its token lives, on real Keystone and Mistral',
  () => {
    beforeAll(async () => {
      mistral = await useMistral();
      const name = `short-${randomBytes(4).toString('hex')}`;
      tenant = await addUser(mistral.keystone, { user: name, project: name, role: 'member' });
      stub = await startStubCatalog();
      await install(
        await openTestCloud(mistral.keystone, tenant),
        await readWorkbooks({ catalog: stub.url }),
        'private',
      );
    }, START_LIMIT_MS);

    afterAll(() => stub?.close());

    test('is left by its workflow, and finished and told by the one that a schedule starts, with another token', {
      timeout: LIMIT_MS,
    }, async () => {
      stub.policies.set('long', {
        notify: [{ kind: 'webhook', url: `${stub.url}/told`, events: ['success', 'failure'] }],
      });
      stub.faults.slow = true;
      const first = await newSession();
      const run = await first.executions.start('ekko.backup.v1.run', { policy: 'long' });
      while ([...stub.runs.values()].find(({ request }) => request === run)?.state !== 'exporting') await pause(100);
      const early = await (await newSession()).executions.run('ekko.backup.v1.pick_up', { policy: 'long' });
      expect([early.state, early.result['outcome']]).toEqual(['SUCCESS', 'none']);

      // What Keystone does with a token at its end, the catalog finds by asking.
      const url = `${mistral.keystone.authUrl}/auth/tokens`;
      expect(
        (await callService(first.token, 'DELETE', url, undefined, { 'x-subject-token': first.token })).status,
      ).toBe(204);
      stub.refused.add(first.token);
      const second = await newSession();
      const left = await second.executions.ended(run);
      expect([left.state, left.result['outcome']]).toEqual(['ERROR', 'left']);
      expect(stub.requests.filter(({ path }) => path === '/told')).toEqual([]);

      stub.faults.slow = false;
      const { state, result } = await second.executions.run('ekko.backup.v1.pick_up', { policy: 'long' });
      expect([state, result['outcome'], result['run']]).toEqual(['SUCCESS', 'committed', run]);
      const told = stub.requests.filter(({ path }) => path === '/told').map(({ body }) => body);
      expect(told).toEqual([expect.objectContaining({ event: 'success', policy: 'long', point: result['point'] })]);
      const again = await second.executions.run('ekko.backup.v1.pick_up', { policy: 'long' });
      expect(again.result['outcome']).toBe('none');
    });
  },
);
