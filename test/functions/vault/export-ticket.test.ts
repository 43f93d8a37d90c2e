import { inspect } from 'node:util';
import { expect, test, vi } from 'vitest';
import { decodeTicket, encodeTicket, type ServerTicket, serverTicket } from '#vault/export-ticket.ts';
import { imageName } from '#vault/images.ts';
import type { CommittedPoint } from '#vault/journal/state.ts';
import { newIdentity } from '#vault/keys/identity.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { createVault } from '#vault/vault.ts';

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
  idKey: undefined,
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

test('a ticket knows disks and the images they were built on by one look at the points, however many there are', async () => {
  const [stored, unknown] = ['aa'.repeat(32), 'bb'.repeat(32)];
  const pointOf = (number: number, name: string) => {
    const run = `2026112${number}-030000-abc123`;
    const [size, manifest] = [number << 20, `${number}`.repeat(64)];
    return { run, group: 'g', point: '', takenAt: '', at: '', position: number, disks: [{ name, size, manifest }] };
  };
  const points = new Map<string, CommittedPoint>();
  for (const point of [1, 2].map((n) => pointOf(n, imageName(stored)))) points.set(point.run, point);
  points.set('root', pointOf(3, 'disk-0'));
  const walk = vi.spyOn(points, 'values');
  const vault = await emptyVault();
  const journal = { ...vault.journal, state: () => ({ ...vault.journal.state(), points }) };
  const names = Array.from({ length: 50 }, (_, i) => `disk-${i}`);
  const images = new Map(names.map((_, i) => [i, i % 2 === 0 ? stored : unknown]));
  images.delete(48);
  const { disks: _disks, ...rest } = TICKET;
  const { disks } = serverTicket({ ...vault, journal }, TICKET.run, names, [...names.keys()], rest, images);
  expect(walk).toHaveBeenCalledTimes(1);
  const manifest = '2'.repeat(64);
  const image = { name: imageName(stored), point: '20261122-030000-abc123', size: 2 << 20, manifest };
  expect(disks.map((disk) => disk.image)).toEqual(names.map((_, i) => (i % 2 === 0 && i !== 48 ? image : undefined)));
  expect(disks[0]?.points).toEqual([{ run: '20261123-030000-abc123', size: 3 << 20, manifest: '3'.repeat(64) }]);
});

function emptyVault() {
  const { publicKey } = newIdentity().identity;
  const recipients = [{ kind: 'key-file' as const, publicKey }];
  return createVault(openMemoryStore(), { recipients, noEscrow: true, now: new Date() });
}

function attempt(value: unknown): unknown {
  try {
    return decodeTicket(value, 'The ticket');
  } catch (error) {
    return error;
  }
}
