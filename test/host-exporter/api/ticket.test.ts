import { expect, test } from 'vitest';
import { readTicket } from '../../../host-exporter/api/ticket.ts';

const key = Buffer.alloc(32, 7).toString('base64');
const GOOD = {
  ...{ run: 'r1', vault: 'v', epoch: 1, stagingPublicKey: key, quiesce: 'prefer' },
  disks: [{ index: 0, name: 's/root', token: key, newest: 'r0', known: { r0: 4096 }, lineage: 'aa' }],
  upload: { url: 'https://swift/v1/AUTH_1/c/', query: '?temp_url_sig=x' },
};

test('a ticket is read', () => {
  const ticket = readTicket(GOOD, 'r1');
  expect(ticket).toMatchObject({ run: 'r1', bandwidth: undefined, readAll: undefined, quiesce: 'prefer' });
  expect(ticket.disks[0]?.known.get('r0')).toBe(4096);
  expect(readTicket({ ...GOOD, readAll: 'bitmap-distrusted', bandwidth: 5 }, 'r1')).toMatchObject({
    readAll: 'bitmap-distrusted',
    bandwidth: 5,
  });
});

test.each([
  ['another run', { run: 'r2' }],
  ['no disks', { disks: [] }],
  ['a key that is too short', { stagingPublicKey: 'AAAA' }],
  ['a token that is none', { disks: [{ ...GOOD.disks[0], token: '' }] }],
  ['a size that is none', { disks: [{ ...GOOD.disks[0], known: { r0: -1 } }] }],
  ['an upload to a file', { upload: { url: 'file:///etc/', query: '?' } }],
  ['an upload that does not end in a folder', { upload: { ...GOOD.upload, url: 'https://swift/v1' } }],
  ['an unknown way to quiesce', { quiesce: 'maybe' }],
])('%s is refused', (_, wrong) => {
  expect(() => readTicket({ ...GOOD, ...wrong }, 'r1')).toThrow(expect.objectContaining({ code: 'bad-format' }));
});
