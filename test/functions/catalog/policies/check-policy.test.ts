import { describe, expect, test } from 'vitest';
import { checkPolicy } from '../../../../functions/catalog/policies/check-policy.ts';
import { nextRun } from '../../../../functions/catalog/policies/schedule.ts';

const NOW = new Date('2026-11-20T12:00:00Z');
const SERVER = '11111111-1111-4111-8111-111111111111';
const SOUND = { vault: 'main', members: { servers: [SERVER] } };
const hook = (more: object) => ({ when: 'before', url: 'https://example.org', ...more });
const check = (more: object) => checkPolicy({ ...SOUND, ...more }, NOW);

test('a policy gets its defaults, and what was sent stays as it was', () => {
  const sent = { ...SOUND, schedule: { cron: '0 3 * * *' } };
  expect(checkPolicy(sent, NOW)).toEqual({
    ...sent,
    quiesce: 'prefer',
    sourceDedupe: false,
    schedule: { cron: '0 3 * * *', timeZone: 'UTC' },
  });
  expect(sent.schedule).toEqual({ cron: '0 3 * * *' });
});

test('a policy may say everything at once', () => {
  const all = {
    members: { stack: 'shop', servers: [SERVER], tags: ['backup'] },
    disks: { exclude: ['vdc'] },
    schedule: { cron: '*/15 2-4 * * 1-5', timeZone: 'Europe/Berlin' },
    retention: { last: 3, daily: 7, within: '48h', timeZone: 'Europe/Berlin' },
    ...{ quiesce: 'require', bandwidth: 50_000_000, sourceDedupe: true, copyTo: { vault: 'far' } },
    hooks: [{ when: 'before', url: 'https://example.org', onError: 'fail', timeout: 30 }],
    notify: [
      { kind: 'webhook', url: 'https://example.org/x?y=z' },
      { kind: 'queue', queue: 'backups', events: ['success', 'copy-failed'] },
      { kind: 'mail', to: ['ops@example.org'] },
    ],
  };
  expect(check(all)).toMatchObject(all);
});

describe('a policy is refused that', () => {
  test.each<[string, object, RegExp]>([
    ['has a field that nobody knows', { retension: {} }, /"retension", which is unknown/],
    ['has an unknown field inside', { members: { server: [SERVER] } }, /members has "server"/],
    ['names nobody', { members: {} }, /members/],
    ['keeps nothing', { retention: { daily: 0 } }, /retention.daily must be >= 1/],
    ['keeps less than nothing', { retention: { last: -1 } }, /retention.last must be >= 1/],
    ['keeps for no time', { retention: { within: '0d' } }, /retention.within/],
    ['has no retention rule', { retention: { timeZone: 'UTC' } }, /retention/],
    ['names something that is no server', { members: { servers: ['web-1'] } }, /members.servers.0/],
    [
      'names 10,000 servers',
      { members: { servers: Array.from({ length: 10_000 }, () => SERVER) } },
      /10000 servers.*more than 250.*Split/,
    ],
    ['quiesces somehow', { quiesce: 'yes' }, /quiesce.*require, prefer, never/],
    ['has a number as text', { bandwidth: '50000000' }, /bandwidth must be integer/],
    ['copies onto itself', { copyTo: { vault: 'main' } }, /copies to the vault main/],
    ['has a vault with a path for a name', { vault: '../main' }, /vault/],
    ['is due on a day that there is not', { schedule: { cron: '0 0 30 2 *' } }, /never due/],
    ['has minute 61', { schedule: { cron: '61 * * * *' } }, /"61 \* \* \* \*" cannot be meant/],
    ['has hour 25', { schedule: { cron: '0 25 * * *' } }, /Invalid value for hour: 25/],
    ['is due each zeroth minute', { schedule: { cron: '*/0 * * * *' } }, /illegal stepping: 0/],
    ['has seconds', { schedule: { cron: '0 0 3 * * *' } }, /five fields/],
    ['has words for a schedule', { schedule: { cron: 'every day at three o’clock' } }, /cannot be meant|five fields/],
    ['is due on Mars', { schedule: { cron: '0 3 * * *', timeZone: 'Mars/Olympus' } }, /no time zone/],
    ['has a hook without an address', { hooks: [{ when: 'before' }] }, /hooks.0 must have required property 'url'/],
    ['has a hook somewhere in between', { hooks: [hook({ when: 'while' })] }, /hooks.0.when.*before, after, failed/],
    ['has a hook that is no HTTP', { hooks: [hook({ url: 'ftp://example.org' })] }, /hooks.0.url/],
    ['has a hook on no host', { hooks: [hook({ url: 'http:///x' })] }, /hooks.0.url/],
    ['has a hook that may take an hour', { hooks: [hook({ timeout: 3600 })] }, /hooks.0.timeout must be <= 900/],
    ['has a hook with an unknown field', { hooks: [hook({ method: 'GET' })] }, /hooks.0 has "method"/],
    ['has a hook that says a book', { hooks: [hook({ body: { text: 'x'.repeat(20_000) } })] }, /body of hook 1/],
    ['tells by pigeon', { notify: [{ kind: 'pigeon' }] }, /notify.0.kind.*webhook, queue, mail/],
    ['tells nobody', { notify: [{ url: 'https://example.org' }] }, /notify.0 must have required property 'kind'/],
    ['tells a webhook without address', { notify: [{ kind: 'webhook', to: ['a@b.c'] }] }, /notify.0/],
    [
      'tells a mail address and a URL at once',
      { notify: [{ kind: 'mail', to: ['a@b.c'], url: 'https://e.org' }] },
      /notify.0.url/,
    ],
    ['tells an address of two lines', { notify: [{ kind: 'mail', to: ['a@b.c\nBcc: d@e.f'] }] }, /notify.0.to.0/],
    [
      'tells of something that never happens',
      { notify: [{ kind: 'queue', queue: 'q', events: ['rain'] }] },
      /events.0/,
    ],
    ['counts days on Mars', { retention: { daily: 3, timeZone: 'Mars/Olympus' } }, /no time zone/],
  ])('%s', (_, more, said) => {
    expect(() => check(more)).toThrow(
      expect.objectContaining({ code: 'bad-input', message: expect.stringMatching(said) }),
    );
  });

  test.each([undefined, null, 'text', [], 1])('is no object but %j', (body) => {
    expect(() => checkPolicy(body, NOW)).toThrow(expect.objectContaining({ code: 'bad-input' }));
  });
});

describe('the next run', () => {
  test('goes by the clock of its time zone, also over a change of it', () => {
    const schedule = { cron: '30 2 * * *', timeZone: 'Europe/Berlin' };
    expect(nextRun(schedule, NOW)?.toISOString()).toBe('2026-11-21T01:30:00.000Z');
    expect(nextRun(schedule, new Date('2026-07-01T12:00:00Z'))?.toISOString()).toBe('2026-07-02T00:30:00.000Z');
  });

  test('is behind the time that is asked about', () => {
    const at = new Date('2026-11-20T03:00:00Z');
    expect(nextRun({ cron: '0 3 * * *', timeZone: 'UTC' }, at)?.toISOString()).toBe('2026-11-21T03:00:00.000Z');
  });
});
