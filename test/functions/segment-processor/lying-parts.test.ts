import { randomBytes } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import {
  newStagedPart,
  type PartHeader,
  type PartRun,
  partAgreement,
  RunKind,
  sealedDataSize,
} from '#vault/format/staged-part.ts';
import { agreeAsSender } from '#vault/keys/hpke.ts';
import { newIdentity } from '#vault/keys/identity.ts';
import { type ExportTicket, startRun, ticketFor } from '#vault/runs.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { receiptKey, stagingKey } from '#vault/store/object-names.ts';
import { createVault, type Vault } from '#vault/vault.ts';
import { LARGEST_DISK, SEGMENT_SIZE } from '#vault/words.ts';
import { openPartProcessor } from '../../../functions/segment-processor/process-part.ts';

let vault: Vault;
let ticket: ExportTicket;

async function newVault(): Promise<Vault> {
  const { identity } = newIdentity();
  const recipients = [{ kind: 'key-file', publicKey: identity.publicKey }] as const;
  return createVault(openMemoryStore(), { recipients, noEscrow: true, now: new Date() });
}

beforeEach(async () => {
  vault = await newVault();
  const run = await startRun(vault, { group: 'g', disks: ['d'], host: 'h', process: '1@b' }, new Date());
  ticket = ticketFor(vault, run, 0);
});

/** Stages a part for `place` that says and carries whatever it is told to. */
async function stage(header: PartHeader, segments: number, by: ExportTicket = ticket, part = 0): Promise<string> {
  const agreed = await agreeAsSender(by.stagingPublicKey, partAgreement(by.vault, by.run, by.disk, part, by.token));
  const writer = newStagedPart(by.epoch, agreed, Buffer.alloc(sealedDataSize(segments)));
  if (segments > 0) writer.addData(randomBytes(segments * SEGMENT_SIZE));
  const key = stagingKey({ run: ticket.run, disk: 0, part: 0 });
  await vault.store.create(key, writer.finish(header));
  return key;
}

const run = (first: number, count: number, kind: PartRun['kind'] = RunKind.data): PartRun => ({ first, count, kind });
const disk = (runs: readonly PartRun[], diskSize = 100 * SEGMENT_SIZE): PartHeader => ({
  diskSize,
  lineage: undefined,
  runs,
});

test.each<[string, PartHeader, number, string]>([
  ['a run beyond the end of the disk', disk([run(99, 2)]), 2, 'part-refused'],
  ['runs that overlap', disk([run(5, 2), run(6, 1)]), 3, 'part-refused'],
  ['runs that go back', disk([run(5, 1), run(1, 1)]), 2, 'part-refused'],
  ['an empty run', disk([run(5, 0)]), 0, 'part-refused'],
  ['a run past 32 bits', disk([run(0xffff_ffff, 1)]), 1, 'part-refused'],
  ['more data than a part may carry', disk([run(0, 1025)], 2000 * SEGMENT_SIZE), 1025, 'part-refused'],
  ['a disk of no bytes', disk([run(0, 1)], 0), 1, 'bad-format'],
  ['a disk that no disk is', disk([run(0, 1)], LARGEST_DISK + 1), 1, 'bad-format'],
  ['fewer segments than it claims', disk([run(0, 20)]), 4, 'damaged'],
  ['a kind of run that is unknown', disk([{ first: 0, count: 1, kind: 9 as PartRun['kind'] }]), 1, 'bad-format'],
])('a part with %s is refused, and leaves neither receipt nor pack', async (_, header, segments, code) => {
  const key = await stage(header, segments);
  await expect(openPartProcessor(vault, 1).process(key)).rejects.toMatchObject({
    code,
    message: expect.stringContaining(key),
  });
  expect(await keysOf('receipts/')).toEqual([]);
  expect(await keysOf('packs/')).toEqual([]);
});

test.each<[string, (t: ExportTicket) => ExportTicket | Promise<ExportTicket>, number]>([
  ['sealed to another vault', async () => ticketFor(await newVault(), ticket.run, 0), 0],
  ['sealed without the token of the run', (t) => ({ ...t, token: randomBytes(32) }), 0],
  ['of another run', (t) => ticketFor(vault, '20260101-000000-000000', t.disk), 0],
  ['of another disk', (t) => ({ ...ticketFor(vault, t.run, 1) }), 0],
  ['of another number', (t) => t, 1],
])('a part %s is refused', async (_, forge, part) => {
  const key = await stage(disk([run(0, 2)]), 2, await forge(ticket), part);
  await expect(openPartProcessor(vault, 1).process(key)).rejects.toMatchObject({ code: 'damaged' });
  expect(await keysOf('receipts/')).toEqual([]);
});

test('a part of an epoch that the vault does not have is refused by name', async () => {
  const key = await stage(disk([run(0, 1)]), 1, { ...ticket, epoch: 7 });
  await expect(openPartProcessor(vault, 1).process(key)).rejects.toMatchObject({ code: 'wrong-key' });
});

test('any flipped bit and any cut of a part is noticed', async () => {
  const key = await stage(disk([run(0, 3)]), 3);
  const whole = await vault.store.get(key);
  const places = [0, 8, 12, 20, 47, 48, 60, 110, 200, 70_000, whole.length - 1];
  const damaged = [
    ...places.map((at) => flipped(whole, at)),
    ...[0, 7, 40, 60, 120, 70_000, whole.length - 1].map((length) => whole.subarray(0, length)),
  ];
  for (const bytes of damaged) {
    await vault.store.remove([key]);
    await vault.store.create(key, [bytes]);
    await expect(openPartProcessor(vault, 1).process(key)).rejects.toMatchObject({
      code: expect.stringMatching(/^(damaged|bad-format|wrong-key)$/),
    });
  }
  expect(await keysOf('receipts/')).toEqual([]);
});

test.each([
  ['staging/../../etc/passwd'],
  ['staging/20260101-000000-000000/0000/0'],
  ['staging/x\ny/0000/00000000'],
  [`staging/${'a'.repeat(10_000)}/0000/00000000`],
  ['packs/00/00'],
  ['receipts/20260101-000000-000000/0000/00000000'],
])('an event for %j is refused without touching the store', async (key) => {
  await expect(openPartProcessor(vault, 1).process(key)).rejects.toMatchObject({ code: 'bad-input' });
});

test('an event for a part that is not there says so', async () => {
  const key = stagingKey({ run: ticket.run, disk: 0, part: 5 });
  await expect(openPartProcessor(vault, 1).process(key)).rejects.toMatchObject({ code: 'object-missing' });
});

test('a part that comes twice is processed once; the second time its receipt is found', async () => {
  const key = await stage(disk([run(0, 3)]), 3);
  const bytes = await vault.store.get(key);
  const processor = openPartProcessor(vault, 1);
  expect(await processor.process(key)).toMatchObject({ kind: 'processed' });
  const receipt = await vault.store.get(receiptKey({ run: ticket.run, disk: 0, part: 0 }));
  await vault.store.create(key, [bytes]);
  expect(await processor.process(key)).toEqual({ kind: 'repeated' });
  expect(await vault.store.get(receiptKey({ run: ticket.run, disk: 0, part: 0 }))).toEqual(receipt);
  expect(await keysOf('staging/')).toEqual([]);
});

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

async function keysOf(prefix: string): Promise<string[]> {
  return (await Array.fromAsync(vault.store.list(prefix))).map(({ key }) => key);
}
