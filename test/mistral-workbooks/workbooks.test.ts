import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { POLICY_SCHEMA } from '../../functions/catalog/policies/policy-schema.ts';
import { checker } from '../../functions/rim/strict-ajv.ts';
import { checkout } from '../setup/cache.ts';

interface Task {
  readonly action?: string;
  readonly workflow?: string;
  readonly timeout?: number | string;
  readonly input?: Record<string, unknown>;
  readonly [part: string]: unknown;
}
interface Workflow {
  readonly description?: string;
  readonly tags?: string[];
  readonly input?: (string | Record<string, unknown>)[];
  readonly 'task-defaults'?: Task;
  readonly tasks: Record<string, Task>;
}
interface AdHocAction {
  readonly base: string;
  readonly 'base-input': Record<string, unknown>;
}
interface Workbook {
  readonly version: string;
  readonly name: string;
  readonly description?: string;
  readonly tags?: string[];
  readonly actions?: Record<string, AdHocAction>;
  readonly workflows: Record<string, Workflow>;
}

const folder = join(checkout, 'mistral-workbooks');
const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'));
const workbooks = files.map((file) => parse(readFileSync(join(folder, file), 'utf8')) as Workbook);
const workflows = workbooks.flatMap(({ name, workflows, actions = {} }) =>
  Object.entries(workflows).map(([short, workflow]) => ({ name: `${name}.${short}`, workflow, actions, book: name })),
);
const tasks = workflows.flatMap(({ name, workflow, actions }) =>
  Object.entries(workflow.tasks).map(([task, definition]) => ({
    name: `${name} ${task}`,
    definition,
    workflow,
    actions,
  })),
);
const PLAIN = ['std.http', 'std.noop', 'std.fail', 'std.email'];

test('a workbook is named as its file, with its version, and described', () => {
  expect(workbooks.map(({ name }) => `${name}.yaml`)).toEqual(files);
  for (const { name, version, description, tags } of workbooks) {
    expect([name, version, typeof description]).toEqual([
      expect.stringMatching(/^ekko\.[a-z]+\.v\d+$/),
      '2.0',
      'string',
    ]);
    expect(tags).toContain('ekko');
  }
});

test('each workflow is described, tagged with its version, and has at most 250 lines', () => {
  for (const { name, workflow, book } of workflows) {
    expect([name, typeof workflow.description]).toEqual([name, 'string']);
    expect(workflow.tags).toContain(book.split('.').at(-1));
  }
  for (const file of files) {
    const text = readFileSync(join(folder, file), 'utf8');
    expect(text.length).toBeLessThan(21_000);
  }
});

test('nothing is called but HTTP and mail: no action that a cloud may not have', () => {
  const bases = workbooks.flatMap(({ actions = {} }) => Object.values(actions).map(({ base }) => base));
  expect(new Set(bases)).toEqual(new Set(['std.http']));
  for (const { name, definition, actions } of tasks) {
    const { action, workflow } = definition;
    expect([name, (action === undefined) !== (workflow === undefined)]).toEqual([name, true]);
    if (action !== undefined) expect([...PLAIN, ...Object.keys(actions)]).toContain(action);
  }
});

test('workflows call only workflows that are there', () => {
  const known = new Set(workflows.map(({ name }) => name));
  for (const { definition, workflow: parent } of tasks) {
    if (definition.workflow === undefined) continue;
    const book = workflows.find(({ workflow }) => workflow === parent)?.book;
    expect([...known].some((name) => name === definition.workflow || name === `${book}.${definition.workflow}`)).toBe(
      true,
    );
  }
});

test('each task that waits for somebody else has a time limit, and each request too', () => {
  for (const { name, definition, workflow } of tasks) {
    if (definition.action === 'std.noop') continue;
    const limit = definition.timeout ?? workflow['task-defaults']?.timeout;
    // A hook has its own, which is computed.
    if (limit === '<% $.limit %>') continue;
    expect([name, typeof limit]).toEqual([name, 'number']);
    // Sub-workflows have limits of their own: 0 is none.
    if (definition.workflow === undefined) expect(limit).toBeGreaterThan(0);
  }
  const requests = workbooks.flatMap(({ actions = {} }) => Object.values(actions));
  for (const request of requests) expect(request['base-input']['timeout']).toBeDefined();
  for (const { definition } of tasks.filter(({ definition }) => definition.action === 'std.http'))
    expect(definition.input?.['timeout']).toBeDefined();
});

test('no request follows a redirection, which would carry the token away', () => {
  const requests = workbooks.flatMap(({ actions = {} }) => Object.values(actions).map((each) => each['base-input']));
  const direct = tasks.flatMap(({ definition }) => (definition.action === 'std.http' ? [definition.input ?? {}] : []));
  for (const request of [...requests, ...direct]) expect(request['allow_redirects']).toBe(false);
});

/** Where in a workbook some text is, as paths. */
function placesOf(text: string, value: unknown, path = ''): string[] {
  if (typeof value === 'string') return value.includes(text) ? [path] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => placesOf(text, each, `${path}/${key}`));
}

test('the token is nowhere but in the header of an ad-hoc action, which Mistral does not show', () => {
  for (const workbook of workbooks) {
    const places = [...placesOf('auth_token', workbook), ...placesOf('openstack', workbook)];
    for (const place of places) expect(place).toMatch(/^\/actions\/\w+\/base-input\/headers\/X-Auth-Token$/);
  }
});

test('an expression asks dictionaries by get, which cannot fail, and not by attributes of an answer', () => {
  for (const file of files) {
    const text = readFileSync(join(folder, file), 'utf8');
    expect(text).not.toMatch(/result\.content|\bresult\.(?!get\()/);
    expect(text).not.toMatch(/\$r\.(?!get\()/);
    expect(text).not.toContain('json_parse');
    // A filtered list can be gone through once only.
    for (const [, list] of text.matchAll(
      /=> switch\(isList\([^=]*=> (\S+\.where\(isDict\(\$\)\)\S*), true => list\(\)\)\) ->/g,
    ))
      expect(list).toContain('.toList()');
  }
});

/** Where a task leads to, in any case. */
function nextOf(task: Task): string[] {
  const clauses = [task['on-success'], task['on-error'], task['on-complete']].flat() as unknown[];
  return clauses.flatMap((each) => (typeof each === 'string' ? [each] : Object.keys((each ?? {}) as object)));
}

test('tasks lead to tasks that are there', () => {
  for (const { name, workflow } of workflows) {
    for (const [task, definition] of Object.entries(workflow.tasks)) {
      const astray = nextOf(definition).filter((next) => !(next in workflow.tasks) && !/^(noop|fail\()/.test(next));
      expect([name, task, astray]).toEqual([name, task, []]);
    }
  }
});

/** The tasks that can come after a task. */
function reachedFrom(tasks: Readonly<Record<string, Task>>, from: string): ReadonlySet<string> {
  const reached = new Set<string>();
  const ahead = [from];
  for (let task = ahead.pop(); task !== undefined; task = ahead.pop()) {
    const fresh = nextOf(tasks[task] ?? {}).filter((next) => !reached.has(next));
    for (const next of fresh) reached.add(next);
    ahead.push(...fresh);
  }
  return reached;
}

test('what waits before it begins has one that went before for its first parent, for it gets that one’s context after the wait', () => {
  for (const { name, workflow } of workflows) {
    const all = Object.entries(workflow.tasks);
    for (const [task] of all.filter(([, definition]) => definition['wait-before'] !== undefined)) {
      const [first] = all.find(([, definition]) => nextOf(definition).includes(task)) ?? [''];
      expect([name, task, reachedFrom(workflow.tasks, task).has(first)]).toEqual([name, task, false]);
    }
  }
});

test('where a run goes next is one of the tasks that stand for it, or the end', () => {
  const { tasks = {} } = workbooks.find(({ name }) => name === 'ekko.backup.v1')?.workflows['finish'] ?? {};
  const { publish, 'on-success': branches } = tasks['look'] as unknown as {
    publish: { next: string };
    'on-success': Record<string, string>[];
  };
  const said = new Set([...publish.next.matchAll(/=> (\w+)[,)]/g)].map(([, word]) => word));
  for (const branch of branches) expect([...said]).toContain(Object.keys(branch)[0]);
});

describe('examples', () => {
  const examples = readdirSync(join(folder, 'examples')).sort();
  test('each workflow has one', () => {
    expect(examples).toEqual(workflows.map(({ name }) => `${name}.input.json`).sort());
  });

  test.each(workflows.map(({ name, workflow }) => [name, workflow] as const))(
    '%s takes its example',
    (name, { input = [] }) => {
      const example = JSON.parse(readFileSync(join(folder, 'examples', `${name}.input.json`), 'utf8')) as object;
      const known = input.map((each) => (typeof each === 'string' ? each : (Object.keys(each)[0] ?? '')));
      const required = input.filter((each) => typeof each === 'string');
      expect(known).toEqual(expect.arrayContaining(Object.keys(example)));
      expect(Object.keys(example)).toEqual(expect.arrayContaining(required));
    },
  );

  test('the policy of the examples is one that the catalog takes', () => {
    const { definition } = JSON.parse(
      readFileSync(join(folder, 'examples', 'ekko.policy.v1.put_policy.input.json'), 'utf8'),
    ) as { definition: unknown };
    const check = checker(POLICY_SCHEMA, 'The policy');
    expect(() => check(definition)).not.toThrow();
    expect(() => check({ ...(definition as object), never: 1 })).toThrow();
  });
});

test('workflows of one resource in Heat take the same inputs, for Heat gives all of them the same', () => {
  const inputs = (name: string) =>
    (workflows.find((each) => each.name === name)?.workflow.input ?? []).map((each) =>
      typeof each === 'string' ? each : Object.keys(each)[0],
    );
  expect(inputs('ekko.policy.v1.remove_policy')).toEqual(inputs('ekko.policy.v1.put_policy'));
  expect(inputs('ekko.policy.v1.forget_vault')).toEqual(inputs('ekko.policy.v1.put_vault'));
});

test('whatever happens, a workflow for DELETE ends in success, for else the stack would be stuck', () => {
  for (const name of ['ekko.policy.v1.remove_policy', 'ekko.policy.v1.forget_vault']) {
    const { tasks = {} } = workflows.find((each) => each.name === name)?.workflow ?? {};
    for (const task of Object.values(tasks)) expect(task['on-error']).toBe('noop');
  }
});
