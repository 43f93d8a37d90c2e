import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { lacks } from '../setup/cache.ts';
import { askService } from './call-service.ts';
import { executionsOf } from './executions.ts';
import { addUser, logIn } from './keystone.ts';
import { useMistral } from './mistral.ts';

/** With the start of Mistral. */
const LIMIT_MS = 600_000;

const name = `shown-${randomBytes(4).toString('hex')}`;

/** Has a text of its own in each field that Mistral shows of executions, tasks and actions. */
const WORKFLOWS = `---
version: '2.0'
${name}:
  input: [given]
  output-on-error:
    said: in-output
  tasks:
    act:
      action: std.test_dict size=1 key_prefix="in-action-output-" val=""
      on-success:
        publish:
          branch:
            mine: in-published
          global:
            ours: in-global
        next: refused
    refused:
      action: std.test_dict size=0 val="in-action-input"
      fail-on: true
      on-error: sub
    sub:
      workflow: ${name}-sub given="in-input-of-sub"
      on-success:
        - fail msg="in-state-info"
${name}-sub:
  input: [given]
  tasks:
    nothing:
      action: std.noop
`;

const OF_EXECUTIONS = ['in-own-input', 'in-input-of-sub', 'in-params', 'in-output', 'in-state-info', 'in-global'];
const OF_TASKS = ['in-published', "Failed by 'fail-on' policy"];
const OF_ACTIONS = ['in-action-input', 'in-action-output-0'];

test.skipIf(lacks('control-plane'))(
  'what tests look for tokens in has every field of executions, tasks and actions on a real Mistral',
  { timeout: LIMIT_MS },
  async () => {
    const { keystone, url } = await useMistral();
    const { token } = await logIn(keystone, await addUser(keystone, { user: name, project: name, role: 'member' }));
    const executions = executionsOf(url, token);
    await askService(token, 'POST', `${url}/workflows`, WORKFLOWS);
    const wish = { workflow_name: name, input: { given: 'in-own-input' }, params: { env: { given: 'in-params' } } };
    const { id } = await askService<{ id: string }>(token, 'POST', `${url}/executions`, wish);
    expect((await executions.ended(id)).state).toBe('ERROR');
    for (const shown of [await executions.everything(), await executions.allOf(id)]) {
      const texts = [...OF_EXECUTIONS, ...OF_TASKS, ...OF_ACTIONS];
      expect(texts.filter((text) => !shown.includes(text))).toEqual([]);
    }
  },
);
