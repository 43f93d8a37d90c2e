import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lacks } from '../setup/cache.ts';
import { callService } from './call-service.ts';
import { logIn } from './keystone.ts';
import { type CloudSettings, useCloud } from './openstack.ts';
import { runSql } from './sql-server.ts';

/** From nothing, beside other tests, it takes a while. */
const START_LIMIT_MS = 400_000;

let cloud: CloudSettings;
let token: string;
let listener: Server;
let listenerUrl: string;

/** What of all answers is looked at. */
interface Body {
  readonly catalog: readonly { readonly type: string }[];
  readonly secret_ref: string;
  readonly executions: readonly Execution[];
  readonly stack: { readonly id: string; readonly stack_status: string; readonly stack_status_reason: string };
}

interface Execution {
  readonly state: string;
  readonly state_info: string | null;
  readonly output: string;
}

const call = (method: string, url: string, body?: object | string, as = token) =>
  callService<Body>(as, method, url, body);

async function until<T>(probe: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    await pause(200);
  }
}

const unique = (name: string) => `${name}-${randomBytes(4).toString('hex')}`;

function workflowThatCalls(name: string): string {
  return `---
version: '2.0'
${name}:
  input: [url]
  output:
    said: <% $.said %>
  tasks:
    ask:
      action: std.http url=<% $.url %>
      publish:
        said: <% task().result.content.said %>
`;
}

async function executionsOf(workflow: string) {
  const fields = 'fields=id,state,state_info,output';
  const { body } = await call('GET', `${cloud.mistral.url}/executions?workflow_name=${workflow}&${fields}`);
  return body.executions;
}

async function ended(workflow: string) {
  return until(async () =>
    (await executionsOf(workflow)).find(({ state }) => state === 'SUCCESS' || state === 'ERROR'),
  );
}

describe.skipIf(lacks('control-plane', 'swift'))('the control plane of a cloud', () => {
  beforeAll(async () => {
    cloud = await useCloud();
    token = (await logIn(cloud.keystone, cloud.keystone.member)).token;
    listener = createServer((_, answer) => answer.setHeader('content-type', 'application/json').end('{"said":"yes"}'));
    await once(listener.listen(0, '127.0.0.1'), 'listening');
    const address = listener.address();
    listenerUrl = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/`;
  }, START_LIMIT_MS);

  afterAll(() => void listener?.close());

  test('the catalogue names every service', async () => {
    const { body } = await call('GET', `${cloud.keystone.authUrl}/auth/catalog`);
    const types = body.catalog.map(({ type }) => type);
    expect(types).toEqual(
      expect.arrayContaining(['identity', 'object-store', 'key-manager', 'workflowv2', 'orchestration']),
    );
  });

  test('an object of the tenant is read by the tenant, and by nobody else', async () => {
    const container = `${cloud.swift.storageUrl}/${unique('container')}`;
    expect((await call('PUT', container)).status).toBe(201);
    expect((await call('PUT', `${container}/a`, 'content')).status).toBe(201);
    expect((await call('GET', `${container}/a`)).body).toBe('content');
    const { token: strangers } = await logIn(cloud.keystone, cloud.stranger);
    expect((await call('GET', `${container}/a`, undefined, strangers)).status).toBe(403);
  });

  test('a secret of the tenant is read by the tenant, and by nobody else', async () => {
    const secret = { name: 'key', payload: 'open sesame', payload_content_type: 'text/plain' };
    const { status, body } = await call('POST', `${cloud.barbican.origin}/v1/secrets`, secret);
    expect(status).toBe(201);
    expect((await call('GET', `${body.secret_ref}/payload`)).body).toBe('open sesame');
    const { token: strangers } = await logIn(cloud.keystone, cloud.stranger);
    expect((await call('GET', `${body.secret_ref}/payload`, undefined, strangers)).status).toBe(403);
  });

  test('a workflow calls a server over HTTP and tells what it said', async () => {
    const name = unique('ask');
    expect((await call('POST', `${cloud.mistral.url}/workflows`, workflowThatCalls(name))).status).toBe(201);
    const execution = { workflow_name: name, input: JSON.stringify({ url: listenerUrl }) };
    expect((await call('POST', `${cloud.mistral.url}/executions`, execution)).status).toBe(201);
    const { state, output, state_info } = await ended(name);
    expect([state, state_info]).toEqual(['SUCCESS', null]);
    expect(JSON.parse(output)).toEqual({ said: 'yes' });
  });

  test('a schedule starts its workflow', async () => {
    const name = unique('scheduled');
    await call('POST', `${cloud.mistral.url}/workflows`, workflowThatCalls(name));
    const workflow_input = JSON.stringify({ url: listenerUrl });
    const trigger = { name, workflow_name: name, pattern: '* * * * *', workflow_input };
    expect((await call('POST', `${cloud.mistral.url}/cron_triggers`, trigger)).status).toBe(201);
    await runSql(cloud.mistral.database, 'UPDATE cron_triggers_v2 SET next_execution_time = ? WHERE name = ?', [
      '2020-01-01 00:00:00',
      name,
    ]);
    expect((await ended(name)).state).toBe('SUCCESS');
    expect((await call('DELETE', `${cloud.mistral.url}/cron_triggers/${name}`)).status).toBe(204);
  });

  test('a stack makes its resources, lets a workflow do what Heat cannot, and takes all away again', async () => {
    const [workflow, container] = [unique('resource'), unique('container')];
    await call('POST', `${cloud.mistral.url}/workflows`, workflowThatCalls(workflow));
    const stacks = `${cloud.heat.url}/${cloud.keystone.member.projectId}/stacks`;
    const stack_name = unique('stack');
    const made = await call('POST', stacks, { stack_name, template: templateOf(workflow, container) });
    expect(made).toMatchObject({ status: 201 });
    const stack = `${stacks}/${stack_name}/${made.body.stack.id}`;
    expect(await endOf(stack)).toEqual(['CREATE_COMPLETE', 'Stack CREATE completed successfully']);
    expect((await call('HEAD', `${cloud.swift.storageUrl}/${container}`)).status).toBe(204);
    expect(await ended(workflow)).toMatchObject({ state: 'SUCCESS' });
    expect((await call('DELETE', stack)).status).toBe(204);
    expect((await endOf(stack))[0]).toBe('DELETE_COMPLETE');
    expect((await call('HEAD', `${cloud.swift.storageUrl}/${container}`)).status).toBe(404);
  });

  async function endOf(stack: string): Promise<[string, string]> {
    return until(async () => {
      const { stack_status, stack_status_reason } = (await call('GET', stack)).body.stack;
      return stack_status.endsWith('IN_PROGRESS') ? undefined : [stack_status, stack_status_reason];
    });
  }

  function templateOf(workflow: string, container: string): object {
    const create = { workflow, params: {} };
    return {
      heat_template_version: '2018-08-31',
      resources: {
        container: { type: 'OS::Swift::Container', properties: { name: container } },
        external: {
          type: 'OS::Mistral::ExternalResource',
          properties: { actions: { CREATE: create }, input: { url: listenerUrl } },
        },
      },
    };
  }
});
