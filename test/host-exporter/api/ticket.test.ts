import { expect, test } from 'vitest';
import { newRunId } from '../../../functions/vault/store/object-names.ts';
import { readTicket } from '../../../host-exporter/api/ticket.ts';

const [OLD, RUN] = [newRunId(new Date(0), Buffer.alloc(3)), newRunId(new Date(1e9), Buffer.alloc(3))];
const VAULT = 'ab'.repeat(16);
const key = Buffer.alloc(32, 7).toString('base64');
const GOOD = {
  ...{ run: RUN, vault: VAULT, epoch: 1, stagingPublicKey: key, quiesce: 'prefer' },
  disks: [
    {
      index: 0,
      name: 's/root',
      token: key,
      points: [{ run: OLD, size: 4096, manifest: 'a'.repeat(64) }],
    },
  ],
  upload: { url: 'https://swift/v1/AUTH_1/c/', query: '?temp_url_sig=x' },
};

test('a ticket is read', () => {
  const ticket = readTicket(GOOD, RUN);
  expect(ticket).toMatchObject({ run: RUN, bandwidth: undefined, readAll: undefined, quiesce: 'prefer' });
  expect(ticket.disks[0]?.points[0]?.size).toBe(4096);
  expect(readTicket({ ...GOOD, readAll: 'bitmap-distrusted', bandwidth: 5 }, RUN)).toMatchObject({
    readAll: 'bitmap-distrusted',
    bandwidth: 5,
  });
});

test.each([
  ['another run', { run: OLD }],
  ['no disks', { disks: [] }],
  ['a field of a newer catalog', { more: true }],
  ['a reason to read everything that it does not know', { readAll: 'full-moon' }],
  ['a key that is too short', { stagingPublicKey: 'AAAA' }],
  ['a token that is none', { disks: [{ ...GOOD.disks[0], token: '' }] }],
  [
    'a size that is none',
    { disks: [{ ...GOOD.disks[0], points: [{ run: OLD, size: -1, manifest: 'a'.repeat(64) }] }] },
  ],
  ['an upload to a file', { upload: { url: 'file:///etc/', query: '?' } }],
  ['an upload that does not end in a folder', { upload: { ...GOOD.upload, url: 'https://swift/v1' } }],
  ['an unknown way to quiesce', { quiesce: 'maybe' }],
])('%s is refused', (_, wrong) => {
  expect(() => readTicket({ ...GOOD, ...wrong }, RUN)).toThrow(expect.objectContaining({ code: 'bad-format' }));
});
