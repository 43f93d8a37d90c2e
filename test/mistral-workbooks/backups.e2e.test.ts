import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { examineCloud } from '../../functions/command-line/doctor/cloud/examine-cloud.ts';
import { checkInstallation, install } from '../../functions/command-line/install/install.ts';
import { readWorkbooks } from '../../functions/command-line/install/workbooks.ts';
import { type Executions, executionsOf } from '../cloud/executions.ts';
import { fireTrigger, triggersOf } from '../cloud/fire-trigger.ts';
import { addUser, type KeystoneUser, logIn } from '../cloud/keystone.ts';
import { openrcOf, openTestCloud } from '../cloud/open-test-cloud.ts';
import { type CloudSettings, useCloud } from '../cloud/openstack.ts';
import { ekkoTypes, outputOf, type Stacks, stacksOf, TEMPLATES } from '../cloud/stacks.ts';
import { type StubCatalog, type StubRun, startStubCatalog } from '../cloud/stub-catalog.ts';
import { lacks } from '../setup/cache.ts';

const START_LIMIT_MS = 400_000;
const LIMIT_MS = 240_000;
const RUN = 'ekko.backup.v1.run';

let cloud: CloudSettings;
let tenant: KeystoneUser;
let token: string;
let stub: StubCatalog;
let executions: Executions;
let stacks: Stacks;

async function until<T>(probe: () => T | undefined | Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    await pause(100);
  }
}

/** Each test has a policy of its own, whenever it is tried. */
function newPolicy(name: string): string {
  const policy = `${name}-${randomBytes(4).toString('hex')}`;
  stub.policies.set(policy, { vault: 'v', members: { stack: 's' } });
  return policy;
}

const runsOf = (policy: string) => [...stub.runs.values()].filter((run) => run.policy === policy);
const runIn = (policy: string, state: StubRun['state']) =>
  until(() => runsOf(policy).find((run) => run.state === state));

describe.skipIf(lacks('control-plane', 'swift'))('on real Heat and Mistral', () => {
  beforeAll(async () => {
    cloud = await useCloud();
    // A project of its own: workbooks have the stub's address, and others may have some of the same names.
    const name = `workflows-${randomBytes(4).toString('hex')}`;
    tenant = await addUser(cloud.keystone, { user: name, project: name, role: 'member' });
    token = (await logIn(cloud.keystone, tenant)).token;
    stub = await startStubCatalog();
    executions = executionsOf(cloud.mistral.url, token);
    stacks = stacksOf(`${cloud.heat.url}/${tenant.projectId}`, token);
    const workbooks = await readWorkbooks({ catalog: stub.url });
    const steps = await install(await openTestCloud(cloud.keystone, tenant), workbooks, 'private');
    expect(steps.filter(({ state }) => state !== 'made')).toEqual([]);
  }, START_LIMIT_MS);

  afterAll(() => stub?.close());

  test('installed again, nothing changes; for another catalog, all do; what an older release left goes', {
    timeout: LIMIT_MS,
  }, async () => {
    const session = await openTestCloud(cloud.keystone, tenant);
    const workbooks = await readWorkbooks({ catalog: stub.url });
    const old =
      "---\nversion: '2.0'\nname: ekko.backup.v0\nworkflows:\n  run:\n    tasks:\n      a:\n        action: std.noop\n";
    await session.call('POST', `${cloud.mistral.url}/workbooks`, old);
    const steps = await install(session, workbooks, 'private');
    expect(steps.slice(0, workbooks.length).map(({ state }) => state)).toEqual(workbooks.map(() => 'current'));
    expect(steps.slice(workbooks.length)).toEqual([
      { kind: 'old workbook', name: 'ekko.backup.v0', state: 'removed' },
      { kind: 'old workflow', name: 'ekko.backup.v0.run', state: 'removed' },
    ]);
    const others = await readWorkbooks({ catalog: 'https://other.example.org' });
    expect((await checkInstallation(session, others)).map(({ state }) => state)).toEqual(others.map(() => 'differs'));
    await expect(install(session, workbooks, 'public')).rejects.toThrow(/administrator/);
  });

  test('a stack makes vault and policy, its schedule backs up, a changed one too, and all goes with it', {
    timeout: LIMIT_MS,
  }, async () => {
    const templateOf = (cron: string, more = {}) => ({
      heat_template_version: '2021-04-16',
      resources: {
        vault: { type: 'Ekko::Backup::Vault', properties: { name: 'shop', escrow: 'waived' } },
        backup: {
          type: 'Ekko::Backup::Policy',
          properties: {
            ...{ name: 'shop', vault: { get_attr: ['vault', 'vault'] }, stack: { get_param: 'OS::stack_id' } },
            ...{
              cron,
              time_zone: 'Europe/Berlin',
              exclude_disks: ['vdz'],
              ...more,
              notify: [{ kind: 'webhook', url: `${stub.url}/hook` }],
            },
          },
        },
      },
      outputs: Object.fromEntries(
        ['policy', 'url', 'next_run', 'next_look'].map((key) => [key, { value: { get_attr: ['backup', key] } }]),
      ),
    });
    const stack = await stacks.create('shop', templateOf('5 3 * * *'));
    const made = await stacks.settled(stack, 'CREATE');
    expect([made.stack_status, made.stack_status_reason]).toEqual(['CREATE_COMPLETE', expect.anything()]);
    expect(outputOf(made, 'policy')).toBe('shop');
    expect(outputOf(made, 'url')).toBe(`${stub.url}/v1/policies/shop`);
    expect(outputOf(made, 'next_run')).toBe('2030-01-01T03:05:00.000Z');
    expect(outputOf(made, 'next_look')).toMatch(/03:05:00$/);
    expect(stub.vaults.get('shop')).toEqual({ store: 'swift:ekko-shop', escrow: 'waived' });
    expect(stub.policies.get('shop')).toEqual({
      ...{ vault: 'shop', members: { stack: stack.split('/').at(-1) }, quiesce: 'prefer', disks: { exclude: ['vdz'] } },
      ...{
        schedule: { cron: '5 3 * * *', timeZone: 'Europe/Berlin' },
        retention: { daily: 7, weekly: 4, monthly: 12 },
      },
      notify: [{ kind: 'webhook', url: `${stub.url}/hook` }],
    });

    const [first] = await triggersOf(cloud, token, RUN);
    await fireTrigger(cloud, first ?? expect.fail('no trigger'));
    expect(await runIn('shop', 'committed')).toMatchObject({ reason: 'schedule' });

    await stacks.update(stack, templateOf('6 4 * * *', { source_dedupe: true }));
    expect((await stacks.settled(stack, 'UPDATE')).stack_status).toBe('UPDATE_COMPLETE');
    expect(stub.policies.get('shop')).toMatchObject({ sourceDedupe: true });
    const triggers = await triggersOf(cloud, token, RUN);
    expect(triggers.map(({ pattern }) => pattern)).toEqual(['6 4 * * *']);
    await fireTrigger(cloud, triggers[0] ?? expect.fail('no trigger'));
    await until(() => (runsOf('shop').filter(({ state }) => state === 'committed').length === 2 ? true : undefined));

    // Not even a catalog that is down is in the way of whoever wants to be rid of a stack.
    stub.faults.down = true;
    await stacks.remove(stack);
    expect((await stacks.settled(stack, 'DELETE')).stack_status).toBe('DELETE_COMPLETE');
    stub.faults.down = false;
    expect(await triggersOf(cloud, token, RUN)).toEqual([]);
  });

  test('Heat takes every example', { timeout: LIMIT_MS }, async () => {
    // What stands for servers has a cloud with servers only.
    const absent = [
      'Nova::Server',
      'Cinder::Volume',
      'Cinder::VolumeAttachment',
      'Neutron::Net',
      'Neutron::Subnet',
      'Neutron::Port',
    ];
    const types = ekkoTypes(Object.fromEntries(absent.map((type) => [`OS::${type}`, 'OS::Heat::None'])));
    for (const file of readdirSync(join(TEMPLATES, 'examples'))) {
      const template = parse(readFileSync(join(TEMPLATES, 'examples', file), 'utf8')) as {
        parameters: Record<string, { type: string }>;
      };
      const given = Object.entries(template.parameters).filter(([, { type }]) => type === 'string');
      const parameters = Object.fromEntries(given.map(([name]) => [name, 'given']));
      expect([file, (await stacks.call('POST', 'validate', { template, ...types })).status]).toEqual([file, 200]);
      const preview = await stacks.call<{ stack: { resources: unknown[] } }>('POST', 'stacks/preview', {
        ...{ stack_name: 'preview', template, parameters },
        ...types,
      });
      expect([file, preview.status]).toEqual([file, 200]);
      expect(JSON.stringify(preview.body.stack.resources)).toContain('ekko.policy.v1.put_policy');
    }
  });

  test('a policy that the catalog refuses fails the stack with its words, and the stack can be deleted', {
    timeout: LIMIT_MS,
  }, async () => {
    const policy = { type: 'Ekko::Backup::Policy', properties: { vault: 'v', tags: ['web'], cron: '99 * * * *' } };
    const stack = await stacks.create('wrong', { heat_template_version: '2021-04-16', resources: { policy } });
    const failed = await stacks.settled(stack, 'CREATE');
    expect(failed.stack_status).toBe('CREATE_FAILED');
    expect(failed.stack_status_reason).toContain('It is so: bad-input.');
    await stacks.remove(stack);
    expect((await stacks.settled(stack, 'DELETE')).stack_status).toBe('DELETE_COMPLETE');
  });

  test('a member that fails is tried again from the held moment, and the others are not', {
    timeout: LIMIT_MS,
  }, async () => {
    const policy = newPolicy('retried');
    stub.faults.failing.set('web-2', 1);
    const { state, result } = await executions.run(RUN, { policy });
    expect([state, result]).toEqual(['SUCCESS', expect.objectContaining({ outcome: 'committed', failed: [] })]);
    const [run] = runsOf(policy);
    expect(result['point']).toBe(run?.run);
    const retries = stub.requests.filter(({ path }) => path === `/v1/runs/${run?.request}/retry`);
    expect(retries).toHaveLength(1);
    expect(run?.members.map((member) => member.state)).toEqual(['staged', 'staged']);
  });

  test('a moment waits for images that are not stored yet, and for an answer to that no longer than is good', {
    timeout: LIMIT_MS,
  }, async () => {
    const stepsOf = async (policy: string) => {
      const first = stub.requests.length;
      const { result } = await executions.run(RUN, { policy });
      expect(result).toMatchObject({ outcome: 'committed' });
      const asked = stub.requests.slice(first).map(({ path }) => path.split('/').at(-1) ?? '');
      return asked.filter((step) => step === 'images' || step === 'moment');
    };
    stub.faults.images = 2;
    expect(await stepsOf(newPolicy('imaged'))).toEqual(['images', 'images', 'images', 'moment']);
    const answers = [
      [404, 'application/problem+json', '{}'],
      [200, 'application/json', '{"state": ["storing"], "images": 7}'],
    ] as const;
    for (const [at, [status, type, body]] of answers.entries()) {
      stub.faults.images = 1;
      stub.faults.nonsense = { matches: /images$/, status, type, body };
      expect((await stepsOf(newPolicy(`imaged-${at}`))).at(-1)).toBe('moment');
    }
    delete stub.faults.nonsense;
    stub.faults.images = 0;
  });

  test('a member that fails for good is left out and told; without leave for that the run is abandoned', {
    timeout: LIMIT_MS,
  }, async () => {
    const policy = newPolicy('broken');
    stub.policies.set(policy, { notify: [{ kind: 'webhook', url: `${stub.url}/told` }, 'nonsense'] });
    stub.faults.failing.set('web-2', 1000);
    const { state, result } = await executions.run(RUN, { policy, retries: 1 });
    expect([state, result['outcome'], result['failed']]).toEqual(['SUCCESS', 'partial', ['web-2: the disk went away']]);
    const told = await until(() => stub.requests.find(({ path }) => path === '/told'));
    expect(told.body).toMatchObject({ event: 'partial', policy, failed: ['web-2: the disk went away'] });
    expect(told.token).toBe('');
    const refused = await executions.run(RUN, { policy, retries: 0, partial: false });
    expect([refused.state, refused.result['outcome']]).toEqual(['ERROR', 'abandoned']);
    expect(runsOf(policy).map((run) => run.state)).toEqual(['committed', 'abandoned']);
    stub.faults.failing.clear();
  });

  test('a catalog that is down for a while makes a backup late, and no more', { timeout: LIMIT_MS }, async () => {
    const policy = newPolicy('patient');
    stub.faults.slow = true;
    const id = await executions.start(RUN, { policy });
    await runIn(policy, 'exporting');
    stub.faults.down = true;
    stub.faults.slow = false;
    const seen = stub.requests.length;
    await until(() => (stub.requests.length > seen + 1 ? true : undefined));
    stub.faults.down = false;
    expect((await executions.ended(id)).result).toMatchObject({ outcome: 'committed' });
    expect(runsOf(policy)).toHaveLength(1);
  });

  test('of two runs at once the second lets the first go on; abandoned, the first ends and says so', {
    timeout: LIMIT_MS,
  }, async () => {
    const policy = newPolicy('twice');
    stub.faults.slow = true;
    const first = await executions.start(RUN, { policy });
    const { run } = await runIn(policy, 'exporting');
    const second = await executions.run(RUN, { policy });
    expect([second.state, second.result]).toEqual([
      'SUCCESS',
      expect.objectContaining({ outcome: 'under-way', run: first }),
    ]);
    await executions.run('ekko.backup.v1.abandon', { run });
    expect((await executions.ended(first)).result).toMatchObject({ outcome: 'abandoned', run: first });
    stub.faults.slow = false;
  });

  test('what a cancelled execution leaves behind is cleared away by the next one', { timeout: LIMIT_MS }, async () => {
    const policy = newPolicy('cancelled');
    stub.faults.slow = true;
    const first = await executions.start(RUN, { policy });
    await runIn(policy, 'exporting');
    // A part of the workflow that Mistral begins while the whole is being cancelled goes on to its end.
    await until(() => stub.requests.find(({ method, path }) => method === 'GET' && path === `/v1/runs/${first}`));
    await executions.cancel(first);
    expect((await executions.ended(first)).state).toBe('CANCELLED');
    stub.faults.slow = false;
    expect((await executions.run(RUN, { policy })).result).toMatchObject({ outcome: 'committed' });
    expect(runsOf(policy).map((run) => run.state)).toEqual(['abandoned', 'committed']);
  });

  test('a schedule that is not due ends in peace, and an unknown policy in words', { timeout: LIMIT_MS }, async () => {
    const policy = newPolicy('patience');
    stub.faults.notDue = true;
    const early = await executions.run(RUN, { policy, reason: 'schedule' });
    stub.faults.notDue = false;
    expect([early.state, early.result['outcome'], runsOf(policy)]).toEqual(['SUCCESS', 'not-due', []]);
    const unknown = await executions.run(RUN, { policy: 'nobody' });
    expect([unknown.state, unknown.result['detail']]).toEqual(['ERROR', 'It is so: not-found.']);
  });

  test.each([
    ['a page of HTML', 'text/html', '<html>', 200],
    ['a list', 'application/json', '[1, 2]', 200],
    [
      'fields of other kinds',
      'application/json',
      '{"state": 7, "members": "no", "run": ["x"], "warnings": {"a": 1}, "code": 3}',
      200,
    ],
    [
      'members that are none',
      'application/json',
      '{"run": "r", "state": "failed", "members": [1, null, {"state": "failed"}]}',
      200,
    ],
    [
      'expressions',
      'application/problem+json',
      '{"code": "x", "detail": "<% $.openstack.auth_token %> {{ _.openstack }}"}',
      400,
    ],
    ['a refusal without JSON', 'text/plain', 'no', 403],
  ])(
    '%s for an answer breaks no expression, for then Mistral would show the token',
    { timeout: LIMIT_MS },
    async (_, type, body, status) => {
      const policy = newPolicy('nonsense');
      stub.faults.nonsense = { matches: / \/v1\/(runs|policies)/, type, body, status };
      const { state_info } = await executions.run(RUN, { policy, longest: 0 });
      delete stub.faults.nonsense;
      expect(state_info ?? '').not.toContain('YAQL');
    },
  );

  test('the doctor finds that all is well but what is not there, and says what is down', {
    timeout: LIMIT_MS,
  }, async () => {
    const { authUrl, region } = cloud.keystone;
    const look = async () => {
      const findings = await examineCloud(openrcOf(authUrl, region, tenant), undefined);
      return Object.fromEntries(findings.map(({ subject, verdict, found }) => [subject, `${verdict}: ${found}`]));
    };
    const found = await look();
    for (const subject of [
      'identity',
      'Swift',
      'Barbican',
      'Mistral actions',
      'workbooks',
      'schedules',
      'Heat',
      'catalog',
      'from Mistral',
    ])
      expect([subject, found[subject]]).toEqual([subject, expect.stringMatching(/^ok: /)]);
    expect(found['exporters']).toMatch(/^wrong: none has registered/);
    stub.faults.down = true;
    const bad = await look();
    stub.faults.down = false;
    for (const subject of ['catalog', 'from Mistral']) expect(bad[subject]).toMatch(/^wrong: /);
    expect(await triggersOf(cloud, token, 'ekko.backup.v1.abandon')).toEqual([]);
  });

  test('no token is in any field of any execution, task or action that Mistral shows', {
    timeout: LIMIT_MS,
  }, async () => {
    const everything = await executions.everything();
    expect(everything).toContain('ekko.backup.v1.finish');
    const tokens = new Set(stub.requests.map((request) => request.token).filter((each) => each !== ''));
    expect(tokens.size).toBeGreaterThan(1);
    for (const each of tokens) expect(everything.includes(each)).toBe(false);
    expect(everything).not.toContain("auth_token\\'");
    expect(Math.max(...everything.split('\n').map((text) => text.length))).toBeLessThan(200_000);
  });
});
