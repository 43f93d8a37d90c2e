import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { install } from '../../functions/command-line/install/install.ts';
import { readWorkbooks } from '../../functions/command-line/install/workbooks.ts';
import { type Executions, executionsOf } from '../cloud/executions.ts';
import { addUser, logIn } from '../cloud/keystone.ts';
import { useMistral } from '../cloud/mistral.ts';
import { openTestCloud } from '../cloud/open-test-cloud.ts';
import { type StubCatalog, startStubCatalog } from '../cloud/stub-catalog.ts';
import { lacks } from '../setup/cache.ts';

const START_LIMIT_MS = 400_000;
const LIMIT_MS = 240_000;

let stub: StubCatalog;
let executions: Executions;

const told = (policy: string) =>
  stub.requests.filter(({ path, body }) => path === '/told' && body['policy'] === policy).map(({ body }) => body);

/** A run of a policy that wants copies; of all events somebody is told. */
async function run(policy: string, ...coming: string[]) {
  const events = ['success', 'partial', 'failure', 'copy-failed'];
  const notify = [{ kind: 'webhook', url: `${stub.url}/told`, events }];
  stub.policies.set(policy, { vault: 'near', members: {}, copyTo: { vault: 'far' }, notify });
  stub.faults.copies.splice(0, 9, ...coming);
  return executions.run('ekko.backup.v1.run', { policy });
}

describe.skipIf(lacks('control-plane'))('copies on a real Mistral', () => {
  beforeAll(async () => {
    const mistral = await useMistral();
    const name = `copies-${randomBytes(4).toString('hex')}`;
    const tenant = await addUser(mistral.keystone, { user: name, project: name, role: 'member' });
    stub = await startStubCatalog();
    executions = executionsOf(mistral.url, (await logIn(mistral.keystone, tenant)).token);
    const session = await openTestCloud(mistral.keystone, tenant);
    await install(session, await readWorkbooks({ catalog: stub.url }), 'private');
  }, START_LIMIT_MS);

  afterAll(() => stub?.close());

  test('follow the commit, of the policy that wants them, when success has been told', {
    timeout: LIMIT_MS,
  }, async () => {
    const { state, result } = await run('copied');
    expect([state, result['outcome'], result['copy']]).toEqual(['SUCCESS', 'committed', 'done']);
    expect(stub.copies.at(-1)).toMatchObject({ vault: 'near', to: 'far', group: 'copied', state: 'done' });
    const paths = stub.requests.map(({ path }) => path);
    expect(paths.indexOf('/told')).toBeLessThan(paths.indexOf('/v1/vaults/near/copies'));
    expect(told('copied')).toEqual([expect.objectContaining({ event: 'success' })]);
  });

  test('that fail are told as that, and the backup stands', { timeout: LIMIT_MS }, async () => {
    const { state, result } = await run('uncopied', 'failed', 'failed');
    expect([state, result['outcome'], result['copy']]).toEqual(['SUCCESS', 'committed', 'failed']);
    expect(told('uncopied').map(({ event }) => event)).toEqual(['success', 'copy-failed']);
    expect(told('uncopied')[1]).toMatchObject({ point: result['point'], detail: 'The other vault is full.' });
  });

  test('wait for another one to the same vault', { timeout: LIMIT_MS }, async () => {
    const { result } = await run('waiting', 'busy');
    expect([result['outcome'], result['copy']]).toEqual(['committed', 'done']);
    expect(told('waiting').map(({ event }) => event)).toEqual(['success']);
  });

  test('are not made of a backup that failed', { timeout: LIMIT_MS }, async () => {
    const before = stub.copies.length;
    stub.faults.nonsense = { matches: /moment$/, type: 'text/plain', status: 403, body: 'no' };
    const { state } = await run('lost');
    delete stub.faults.nonsense;
    expect([state, stub.copies.length]).toEqual(['ERROR', before]);
    expect(told('lost').map(({ event }) => event)).toEqual(['failure']);
  });
});
