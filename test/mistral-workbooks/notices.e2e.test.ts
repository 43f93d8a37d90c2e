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
import { type HttpListener, openHttpListener } from './http-listener.ts';
import { openSmtpListener, type SmtpListener } from './smtp-listener.ts';

const START_LIMIT_MS = 400_000;
const LIMIT_MS = 240_000;
const ALL = ['success', 'partial', 'failure', 'unprotected', 'missed', 'copy-failed'];

let stub: StubCatalog;
let heard: HttpListener;
/** Stands for Zaqar: it takes its one call, and keeps nothing. */
let zaqar: HttpListener;
let mail: SmtpListener;
let executions: Executions;
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
const send = (input: object) => executions.run('ekko.notification.v1.send', input);

describe.skipIf(lacks('control-plane'))('notices of a real Mistral', () => {
  beforeAll(async () => {
    const mistral = await useMistral();
    const name = `notices-${randomBytes(4).toString('hex')}`;
    const tenant = await addUser(mistral.keystone, { user: name, project: name, role: 'member' });
    token = (await logIn(mistral.keystone, tenant)).token;
    [stub, heard, zaqar, mail] = await Promise.all([
      startStubCatalog(),
      openHttpListener(),
      openHttpListener(),
      openSmtpListener(),
    ]);
    executions = executionsOf(mistral.url, token);
    const places = { catalog: stub.url, zaqar: zaqar.url, mail_server: mail.address, mail_from: 'ekko@example.org' };
    await install(await openTestCloud(mistral.keystone, tenant), await readWorkbooks(places), 'private');
  }, START_LIMIT_MS);

  afterAll(() => {
    for (const each of [stub, heard, zaqar, mail]) each?.close();
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

  test('a queue gets the one call that Zaqar has for it, with the caller’s token (of a stub: no Zaqar runs here)', {
    timeout: LIMIT_MS,
  }, async () => {
    stub.policies.set('queued', { notify: [{ kind: 'queue', queue: 'backups' }] });
    await send({ policy: 'queued', event: 'failure', run: 'r1' });
    const [call] = zaqar.heard;
    expect(call?.path).toBe('/v2/queues/backups/messages');
    expect(call?.body).toMatchObject({
      messages: [{ ttl: 604_800, body: { event: 'failure', policy: 'queued', run: 'r1' } }],
    });
    expect([call?.headers['x-auth-token'], typeof call?.headers['client-id']]).toEqual([token, 'string']);
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
});
