import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { install } from '../../functions/command-line/install/install.ts';
import { readWorkbooks } from '../../functions/command-line/install/workbooks.ts';
import { askService } from '../cloud/call-service.ts';
import { type Executions, executionsOf } from '../cloud/executions.ts';
import { fireTrigger } from '../cloud/fire-trigger.ts';
import { addUser, type KeystoneUser, logIn } from '../cloud/keystone.ts';
import { type MistralSettings, useMistral } from '../cloud/mistral.ts';
import { openTestCloud } from '../cloud/open-test-cloud.ts';
import { type StubCatalog, startStubCatalog } from '../cloud/stub-catalog.ts';
import { useZaqar, type ZaqarSettings } from '../cloud/zaqar.ts';
import { lacks } from '../setup/cache.ts';
import { type HttpListener, openHttpListener } from './http-listener.ts';
import { openSmtpListener, type SmtpListener } from './smtp-listener.ts';

const START_LIMIT_MS = 400_000;
const LIMIT_MS = 240_000;
const LACKS_ZAQAR = lacks('zaqar');
const SEND = 'ekko.notification.v1.send';
const ALL = ['success', 'partial', 'failure', 'unprotected', 'missed', 'copy-failed'];

let stub: StubCatalog;
let heard: HttpListener;
let zaqar: ZaqarSettings | undefined;
let mail: SmtpListener;
let mistral: MistralSettings;
let executions: Executions;
let tenant: KeystoneUser;
let token: string;

/** A policy that tells of everything, and one address that hears what it hears where nothing is said. */
function newPolicy(name: string, more: object = {}): string {
  const hooks = (events: readonly string[]) => ({ kind: 'webhook', url: `${heard.url}/${name}/all`, events });
  const notify = [hooks(ALL), { kind: 'webhook', url: `${heard.url}/${name}/default` }];
  stub.policies.set(name, { vault: 'v', members: {}, notify, ...more });
  return name;
}

const bodiesAt = (path: string) =>
  heard.heard.filter((each) => each.path === path).map(({ body }) => body as Record<string, unknown>);
const eventsAt = (path: string) => bodiesAt(path).map(({ event }) => event);
const send = (input: object) => executions.run(SEND, input);
const newName = () => `notices-${randomBytes(4).toString('hex')}`;

interface Message {
  readonly ttl: number;
  readonly body: object;
}

/** Zaqar wants one of each program, and shows it no messages of its own. */
const clientId = { 'client-id': randomUUID() };
const urlOf = (queue: string) => `${zaqar?.origin}/v2/queues/${queue}`;

/** A queue of the tenant, and a policy that tells it what nobody else hears. */
async function newQueue(policy: string): Promise<string> {
  const queue = newName();
  await askService(token, 'PUT', urlOf(queue), {}, clientId);
  stub.policies.set(policy, { notify: [{ kind: 'queue', queue }] });
  return queue;
}

/** What the owner of a token can read in a queue of that name. */
async function messagesIn(queue: string, reader = token, more: Readonly<Record<string, string>> = {}) {
  const headers = { ...clientId, ...more };
  const answer = await askService<{ messages: Message[] }>(
    reader,
    'GET',
    `${urlOf(queue)}/messages`,
    undefined,
    headers,
  );
  return answer.messages;
}

describe.skipIf(lacks('control-plane'))('notices of a real Mistral', () => {
  beforeAll(async () => {
    [mistral, zaqar] = await Promise.all([useMistral(), LACKS_ZAQAR ? undefined : useZaqar()]);
    const name = newName();
    tenant = await addUser(mistral.keystone, { user: name, project: name, role: 'member' });
    token = (await logIn(mistral.keystone, tenant)).token;
    [stub, heard, mail] = await Promise.all([startStubCatalog(), openHttpListener(), openSmtpListener()]);
    executions = executionsOf(mistral.url, token);
    const places = { catalog: stub.url, mail_server: mail.address, mail_from: 'ekko@example.org' };
    await install(
      await openTestCloud(mistral.keystone, tenant),
      await readWorkbooks({ ...places, ...(zaqar && { zaqar: zaqar.origin }) }),
      'private',
    );
  }, START_LIMIT_MS);

  afterAll(() => {
    for (const each of [stub, heard, mail]) each?.close();
  });

  test('a backup that succeeds is told to those who want that alone', { timeout: LIMIT_MS }, async () => {
    const policy = newPolicy('good');
    const { result } = await executions.run('ekko.backup.v1.run', { policy });
    expect(bodiesAt('/good/all')).toEqual([
      expect.objectContaining({ event: 'success', policy, run: result['run'], point: result['point'], failed: [] }),
    ]);
    expect(eventsAt('/good/default')).toEqual([]);
  });

  test('a partial one, one that fails, and one that a schedule leaves out are told to all', {
    timeout: LIMIT_MS,
  }, async () => {
    const policy = newPolicy('bad');
    stub.faults.failing.set('web-2', 1000);
    await executions.run('ekko.backup.v1.run', { policy, retries: 0 });
    await executions.run('ekko.backup.v1.run', { policy, retries: 0, partial: false });
    stub.faults.failing.clear();
    stub.faults.slow = true;
    const first = await executions.start('ekko.backup.v1.run', { policy });
    while (![...stub.runs.values()].some((run) => run.request === first))
      await new Promise((done) => setTimeout(done, 100));
    await executions.run('ekko.backup.v1.run', { policy, reason: 'schedule' });
    stub.faults.slow = false;
    await executions.ended(first);
    expect(eventsAt('/bad/default')).toEqual(['partial', 'failure', 'missed']);
    expect(bodiesAt('/bad/default')[0]).toMatchObject({ failed: ['web-2: the disk went away'] });
    expect(eventsAt('/bad/all')).toEqual(['partial', 'failure', 'missed', 'success']);
  });

  test('a server that nobody protects is told beside the success, once to each', { timeout: LIMIT_MS }, async () => {
    const policy = newPolicy('open');
    await send({ policy, event: 'success', warnings: ['Server web-9 of the stack has no exporter.'] });
    expect(bodiesAt('/open/default')).toEqual([
      expect.objectContaining({ event: 'success', warnings: ['Server web-9 of the stack has no exporter.'] }),
    ]);
    expect(eventsAt('/open/all')).toEqual(['success']);
  });

  test('that a schedule did not fire is told by the upkeep of the vault, which is done all the same', {
    timeout: LIMIT_MS,
  }, async () => {
    newPolicy('late', { overdue: '2026-11-20T02:00:00.000Z' });
    newPolicy('punctual');
    stub.vaults.set('v', {});
    const { state, result } = await executions.run('ekko.upkeep.v1.run', { vault: 'v' });
    expect([state, result['missed']]).toEqual(['SUCCESS', [{ policy: 'late', due: '2026-11-20T02:00:00.000Z' }]]);
    expect(bodiesAt('/late/default')).toEqual([
      expect.objectContaining({ event: 'missed', detail: expect.stringContaining('2026-11-20T02:00:00.000Z') }),
    ]);
    expect(eventsAt('/punctual/all')).toEqual([]);
    expect(stub.requests.some(({ path, method }) => method === 'POST' && path === '/v1/vaults/v/upkeep')).toBe(true);
    const dry = await executions.run('ekko.upkeep.v1.run', { vault: 'v', dry_run: true });
    expect([dry.state, eventsAt('/late/default').length]).toEqual(['SUCCESS', 1]);
  });

  test('mail comes by SMTP to each address, with what happened', { timeout: LIMIT_MS }, async () => {
    const to = ['ops@example.org', 'dba@example.org'];
    stub.policies.set('mailed', {
      notify: [
        { kind: 'mail', to },
        { kind: 'mail', to: ['quiet@example.org'], events: ['success'] },
      ],
    });
    const told = {
      policy: 'mailed',
      event: 'failure',
      run: 'r1',
      failed: ['web-2: the disk went away'],
      detail: 'Größe',
    };
    expect((await send(told)).state).toBe('SUCCESS');
    expect(mail.mails.map((each) => each.to)).toEqual([to]);
    const [found] = mail.mails;
    expect(found?.text).toContain('Subject: =?utf-8?q?Ekko_backup_of_mailed=3A_failure?=');
    const [, body = ''] = found?.text.split('\r\n\r\n') ?? [];
    const text = Buffer.from(body, 'base64').toString();
    for (const words of ['mailed', 'failure', 'r1', 'web-2: the disk went away', 'Größe'])
      expect(text).toContain(words);
  });

  test('whom nobody can reach keeps no other from being told, nor the notice from ending well', {
    timeout: LIMIT_MS,
  }, async () => {
    const notify = [
      { kind: 'webhook', url: 'http://127.0.0.1:9/gone' },
      { kind: 'webhook', url: `${heard.url}/500/refused` },
      { kind: 'webhook', url: `${heard.url}/reached` },
      { kind: 'mail', to: ['ops@example.org'] },
    ];
    stub.policies.set('deaf', { notify });
    const before = mail.mails.length;
    expect((await send({ policy: 'deaf', event: 'failure' })).state).toBe('SUCCESS');
    expect(eventsAt('/reached')).toEqual(['failure']);
    expect(mail.mails.length).toBe(before + 1);
  });

  describe.skipIf(LACKS_ZAQAR)('on a real Zaqar', () => {
    test('a queue gets what happened, whole, and is there for its own project alone', {
      timeout: LIMIT_MS,
    }, async () => {
      const queue = await newQueue('queued');
      await send({ policy: 'queued', event: 'success', run: 'r1' });
      const told = { event: 'failure', policy: 'queued', run: 'r2', failed: ['web-2: Größe'], detail: 'It failed.' };
      await send(told);
      const body = { ...told, point: '', warnings: [] };
      expect(await messagesIn(queue)).toEqual([expect.objectContaining({ ttl: 604_800, body })]);

      const stranger = await addUser(mistral.keystone, { user: newName(), project: newName(), role: 'member' });
      const { token: theirs } = await logIn(mistral.keystone, stranger);
      expect(await messagesIn(queue, theirs)).toEqual([]);
      expect(await messagesIn(queue, theirs, { 'x-project-id': tenant.projectId })).toEqual([]);
      await expect(messagesIn(queue, 'nonsense')).rejects.toThrow('401');
    });

    test('a queue that nobody made is made by the first that it is told', { timeout: LIMIT_MS }, async () => {
      const queue = newName();
      stub.policies.set('first', { notify: [{ kind: 'queue', queue }] });
      await send({ policy: 'first', event: 'partial' });
      expect(await messagesIn(queue)).toMatchObject([{ body: { event: 'partial', policy: 'first' } }]);
    });

    test('a schedule, which has a token of a trust, tells queues too', { timeout: LIMIT_MS }, async () => {
      const queue = await newQueue('scheduled');
      const workflow_input = JSON.stringify({ policy: 'scheduled', event: 'missed' });
      const trigger = { name: newName(), pattern: '0 0 1 1 *', workflow_name: SEND, workflow_input };
      await askService(token, 'POST', `${mistral.url}/cron_triggers`, trigger);
      await fireTrigger({ mistral }, trigger);
      await expect
        .poll(() => messagesIn(queue), { timeout: LIMIT_MS, interval: 500 })
        .toMatchObject([{ body: { event: 'missed', policy: 'scheduled' } }]);
    });
  });
});
