import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { install } from '../../functions/command-line/install/install.ts';
import { readWorkbooks } from '../../functions/command-line/install/workbooks.ts';
import { askService } from '../cloud/call-service.ts';
import { type Executions, executionsOf } from '../cloud/executions.ts';
import { addUser, logIn } from '../cloud/keystone.ts';
import { type MistralSettings, useMistral } from '../cloud/mistral.ts';
import { openTestCloud } from '../cloud/open-test-cloud.ts';
import { type StubCatalog, startStubCatalog } from '../cloud/stub-catalog.ts';
import { lacks } from '../setup/cache.ts';
import { type HttpListener, openHttpListener } from './http-listener.ts';

const START_LIMIT_MS = 400_000;
const LIMIT_MS = 240_000;
const RUN = 'ekko.backup.v1.run';
/** In the addresses of all hooks. */
const SECRET = randomBytes(8).toString('hex');

let mistral: MistralSettings;
let stub: StubCatalog;
let hooks: HttpListener;
let executions: Executions;
let token: string;
let events: string[];

/** The order in which a hook was heard, and what the catalog was asked for. */
const eventsOf = () => [...events];
const hook = (when: string, path: string, more: object = {}) => ({
  ...{ when, url: `${hooks.url}${path}?key=${SECRET}`, timeout: 5 },
  ...more,
});

async function runWith(policy: string, given: readonly object[], input: object = {}) {
  stub.policies.set(policy, { vault: 'v', members: { stack: 's' }, hooks: given });
  return executions.run(RUN, { policy, ...input });
}

describe.skipIf(lacks('control-plane'))('hooks on a real Mistral', () => {
  beforeAll(async () => {
    mistral = await useMistral();
    const name = `hooks-${randomBytes(4).toString('hex')}`;
    const tenant = await addUser(mistral.keystone, { user: name, project: name, role: 'member' });
    token = (await logIn(mistral.keystone, tenant)).token;
    stub = await startStubCatalog((asked) => {
      const [, step] = /\/(moment|commit)$/.exec(asked.path) ?? [];
      if (step !== undefined) events.push(`POST ${step}`);
      if (asked.method === 'DELETE') events.push('DELETE run');
    });
    hooks = await openHttpListener((path) => events.push(path.replace(/\?.*/, '')));
    executions = executionsOf(mistral.url, token);
    const session = await openTestCloud(mistral.keystone, tenant);
    await install(session, await readWorkbooks({ catalog: stub.url }), 'private');
  }, START_LIMIT_MS);

  beforeEach(() => {
    events = [];
    hooks?.heard.splice(0);
  });

  afterAll(() => {
    stub?.close();
    hooks?.close();
  });

  test('are called in their order around the moment, with what they need and without a token', {
    timeout: LIMIT_MS,
  }, async () => {
    const { state, result } = await runWith('around', [
      hook('after', '/thaw'),
      hook('before', '/one'),
      hook('before', '/two', { body: { freeze: true, text: '<% $.openstack.auth_token %>' } }),
      hook('failed', '/alarm'),
    ]);
    expect([state, result['outcome'], result['detail']]).toEqual(['SUCCESS', 'committed', '']);
    expect(eventsOf()).toEqual(['/one', '/two', 'POST moment', '/thaw', 'POST commit']);
    const [one, two, thaw] = hooks.heard;
    expect(one?.body).toEqual({ policy: 'around', run: result['run'], when: 'before', detail: '' });
    expect(two?.body).toEqual({ freeze: true, text: '<% $.openstack.auth_token %>' });
    expect(thaw?.body).toMatchObject({ when: 'after' });
    for (const { headers } of hooks.heard) expect(headers).not.toHaveProperty('x-auth-token');
  });

  test.each([
    ['refuses', '/500/no', 'it answered 500'],
    ['leads elsewhere', '/302/away', 'it answered 302'],
    ['does not answer', '/mute/x', 'it did not answer in time'],
  ])(
    'before the moment that %s: no moment is taken, whoever waits is released, and the failure is told',
    {
      timeout: LIMIT_MS,
    },
    async (_, path, words) => {
      const policy = `strict-${path.replaceAll(/\W/g, '')}`;
      const told = { kind: 'webhook', url: `${hooks.url}/told` };
      const given = [hook('before', '/one'), hook('before', path), hook('before', '/never'), hook('after', '/thaw')];
      stub.policies.set(policy, {
        vault: 'v',
        members: {},
        hooks: [...given, hook('failed', '/alarm')],
        notify: [told],
      });
      const { state, result } = await executions.run(RUN, { policy });
      expect([state, result['outcome']]).toEqual(['ERROR', 'failed']);
      expect(result['detail']).toContain(`Hook 2 (before) failed - ${words}`);
      expect(eventsOf()).toEqual(['/one', path, '/thaw', 'DELETE run', '/alarm', '/told']);
      expect(hooks.heard.at(-1)?.body).toMatchObject({ event: 'failure', detail: result['detail'] });
      expect(hooks.heard.at(-2)?.body).toMatchObject({ when: 'failed', detail: result['detail'] });
    },
  );

  test('that may fail do not keep a backup from being made, and are named in its detail', {
    timeout: LIMIT_MS,
  }, async () => {
    const lenient = [
      hook('before', '/500/b', { onError: 'continue' }),
      hook('before', '/two'),
      hook('after', '/500/a'),
    ];
    const { result } = await runWith('lenient', lenient);
    expect(result['outcome']).toBe('committed');
    expect(result['detail']).toBe('Hook 1 (before) failed - it answered 500. Hook 1 (after) failed - it answered 500.');
    expect(eventsOf()).toEqual(['/500/b', '/two', 'POST moment', '/500/a', 'POST commit']);
  });

  test('after the moment without which the backup is not wanted give the run up when they fail', {
    timeout: LIMIT_MS,
  }, async () => {
    const { result } = await runWith('log', [hook('after', '/500/log', { onError: 'fail' }), hook('after', '/thaw')]);
    expect(result['outcome']).toBe('failed');
    expect(eventsOf()).toEqual(['POST moment', '/500/log', '/thaw', 'DELETE run']);
  });

  test('after the moment are called also when the moment fails', { timeout: LIMIT_MS }, async () => {
    stub.faults.nonsense = {
      ...{ matches: /POST .*\/moment$/, type: 'application/problem+json', status: 409 },
      body: '{"code": "run-ended", "detail": "No server could be held still."}',
    };
    const { result } = await runWith('unheld', [hook('before', '/freeze'), hook('after', '/thaw')]);
    delete stub.faults.nonsense;
    expect([result['outcome'], result['detail']]).toEqual(['failed', 'No server could be held still.']);
    expect(eventsOf()).toEqual(['/freeze', 'POST moment', '/thaw', 'DELETE run']);
  });

  test('of which the catalog says nothing in time keep the moment from being taken', {
    timeout: LIMIT_MS,
  }, async () => {
    stub.faults.nonsense = { matches: /GET \/v1\/policies/, type: 'text/plain', status: 403, body: 'no' };
    const { result } = await runWith('mute', [hook('before', '/freeze')]);
    delete stub.faults.nonsense;
    expect([result['outcome'], result['detail']]).toEqual([
      'failed',
      'The catalog does not say which hooks the policy has.',
    ]);
    expect(eventsOf()).toEqual(['DELETE run']);
  });

  test('have addresses that no output, variable or error of an execution or task holds', async () => {
    const { executions: all } = await askService<{ executions: { id: string }[] }>(
      token,
      'GET',
      `${mistral.url}/executions`,
    );
    expect(all.length).toBeGreaterThan(8);
    const shown: string[] = [];
    for (const { id } of all) {
      shown.push(JSON.stringify(await askService(token, 'GET', `${mistral.url}/executions/${id}`)));
      const path = `${mistral.url}/tasks?workflow_execution_id=${id}`;
      const { tasks } = await askService<{ tasks: { id: string; name: string }[] }>(token, 'GET', path);
      for (const task of tasks) {
        const { result, ...rest } = await askService<{ result: string }>(
          token,
          'GET',
          `${mistral.url}/tasks/${task.id}`,
        );
        // What the catalog and the hooks answered is shown to who may see the policy itself.
        shown.push(JSON.stringify(rest), ['ask', 'carry_out', 'webhooks'].includes(task.name) ? '' : result);
      }
    }
    expect(shown.filter((text) => text.includes(SECRET)).map((text) => text.slice(0, 400))).toEqual([]);
    expect((await executions.everything()).includes(token)).toBe(false);
  });
});
