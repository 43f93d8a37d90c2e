import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { decodeTicket, encodeTicket, type ServerTicket } from '#vault/export-ticket.ts';

const TICKET: ServerTicket = {
  vault: 'ab'.repeat(16),
  run: '20261120-191503-abc123',
  epoch: 2,
  stagingPublicKey: Buffer.alloc(32, 1),
  disks: [
    {
      index: 3,
      name: 'web-1/root',
      token: Buffer.alloc(32, 2),
      points: [{ run: '20261119-191503-abc123', size: 1 << 30, manifest: 'cd'.repeat(32) }],
    },
  ],
  upload: { url: 'https://swift.example/v1/AUTH_a/backups/', query: '?temp_url_sig=aa&temp_url_expires=1' },
  quiesce: 'prefer',
  bandwidth: undefined,
  readAll: undefined,
};
const sent = (ticket: ServerTicket) => JSON.parse(JSON.stringify(encodeTicket(ticket))) as Record<string, unknown>;
const coded = () => sent(TICKET);

test('a ticket comes back as it was given', () => {
  expect(decodeTicket(coded(), 'The ticket')).toEqual(TICKET);
  const limited = { ...TICKET, bandwidth: 1_000_000, readAll: 'bitmap-distrusted' } as const;
  expect(decodeTicket(sent(limited), 'The ticket')).toEqual(limited);
});

test.each([
  ['vault', 'x'],
  ['run', '../..'],
  ['epoch', -1],
  ['stagingPublicKey', 'AAAA'],
  ['disks', [{ index: 0, name: 'a\nb', token: '', points: [] }]],
  ['disks', Array.from({ length: 2000 }, () => ({}))],
  ['upload', { url: 'file:///etc/', query: '?a' }],
  ['upload', { url: 'https://user:secret@swift/', query: '?a' }],
  ['upload', { url: 'https://swift/v1/x', query: '?a' }],
  ['upload', { url: 'https://swift/v1/x/', query: 'a' }],
  ['quiesce', 'maybe'],
  ['bandwidth', 'fast'],
  ['readAll', 'nonsense'],
  ['strange', 1],
])('a ticket whose %s is %j is refused by that name', (field, value) => {
  const error: unknown = attempt({ ...coded(), [field]: value });
  expect(error).toMatchObject({ code: 'bad-format', message: expect.stringContaining(field) });
});

test('what is refused stays secret', () => {
  const token = 'c2VjcmV0';
  const error = attempt({ ...coded(), disks: [{ index: 0, name: 'a', token, points: [] }] });
  expect(inspect(error)).not.toContain(token);
});

function attempt(value: unknown): unknown {
  try {
    return decodeTicket(value, 'The ticket');
  } catch (error) {
    return error;
  }
}
