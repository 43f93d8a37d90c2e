import { beforeEach, expect, test } from 'vitest';
import type { Extent } from '#vault/format/extents.ts';
import { packName } from '#vault/format/pack.ts';
import { imageName, newImageDigest } from '#vault/images.ts';
import { newIdentity } from '#vault/keys/identity.ts';
import { readManifest, readPage } from '#vault/records.ts';
import { abandonRun, startRun, ticketFor } from '#vault/runs.ts';
import type { DiskPlan, HeldMoment } from '#vault/staging/changed-block-source.ts';
import { exportDisk } from '#vault/staging/export-disk.ts';
import { openCountedStore } from '#vault/store/counted-store.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { nameOf, receiptKey, stagingKey } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { createVault, openVault, type Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE, segmentsOf } from '#vault/words.ts';
import { commitRun } from '../../../functions/point-committer/commit-run.ts';
import { openPartProcessor } from '../../../functions/segment-processor/process-part.ts';
import { openHookedStore } from '../../hooked-store.ts';

const { identity } = newIdentity();
const provider = { origin: 'test', identity: async () => identity };
const NOW = new Date('2026-01-02T03:04:05Z');
let memory: ObjectStore;
let vault: Vault;

async function newVault(noEscrow: boolean): Promise<void> {
  memory = openMemoryStore();
  await createVault(memory, { recipients: [{ kind: 'key-file', publicKey: identity.publicKey }], noEscrow, now: NOW });
  vault = await openVault(memory, provider);
}

beforeEach(() => newVault(true));

interface Export {
  readonly disk?: string;
  readonly size?: number;
  readonly data?: DiskPlan['data'];
  readonly zero?: DiskPlan['zero'];
  readonly base?: string;
  readonly baseDisk?: string;
  /** Content number of a segment. */
  readonly content?: (segment: number) => number;
  readonly process?: boolean;
  /** One that was started already. */
  readonly into?: string;
}

const SIZE = 64 * SEGMENT_SIZE;

async function exported({
  disk = 'd',
  size = SIZE,
  data,
  zero = [],
  base,
  baseDisk,
  content = (i) => i + 1,
  process = true,
  into,
}: Export = {}): Promise<string> {
  const run = into ?? (await startRun(vault, { group: 'g', disks: [disk], host: 'h', process: '1@b' }, NOW));
  const all = { first: 0, count: segmentsOf(size) };
  const plan: DiskPlan = {
    disk: { name: disk, size, origin: 'test' },
    base,
    ...(baseDisk === undefined ? {} : { baseDisk }),
    fullReason: undefined,
    data: data ?? [all],
    zero,
    audit: [],
  };
  const moment = {
    plans: [plan],
    takenAt: NOW,
    consistency: 'crash',
    consistencyNote: '',
    frozenMs: 0,
    read: fill(content),
    end: async () => undefined,
  };
  await exportDisk(moment as HeldMoment, 0, ticketFor(vault, run, 0), undefined, {
    staging: memory,
    notice: async (key) => {
      if (process) await openPartProcessor(vault, 1).process(key);
    },
    progress: () => undefined,
    bandwidth: undefined,
    partSegments: 16,
  });
  return run;
}

function fill(content: (segment: number) => number): HeldMoment['read'] {
  return async (_index, offset, length, into) => {
    for (let at = 0; at < length; at += SEGMENT_SIZE) {
      Buffer.from(into.buffer, into.byteOffset + at, SEGMENT_SIZE).fill(`${content((offset + at) / SEGMENT_SIZE)} `);
    }
  };
}

async function extentsOf(run: string): Promise<Extent[]> {
  const manifest = await readManifest(vault, vault.journal.state().points.get(run)?.disks[0]?.manifest ?? '');
  const pages = await Promise.all(manifest.pages.map((name) => (name === undefined ? [] : readPage(vault, name))));
  return pages.flat();
}

test('the same content again as another disk is found by its samples and stored no second time', async () => {
  const size = 128 * SEGMENT_SIZE;
  await commitRun(vault, await exported({ size }), NOW);
  const again = await commitRun(vault, await exported({ disk: 'other', size }), NOW);
  expect(again.disks[0]?.changedBytes).toBe(size);
  expect(again.disks[0]?.newBytes).toBeLessThan(size / 4);
});

test('a condemned pack is never deduped against', async () => {
  const first = await exported({});
  await commitRun(vault, first, NOW);
  const packs = [
    ...new Set((await extentsOf(first)).flatMap(({ pack }) => (pack === undefined ? [] : [packName(pack)]))),
  ];
  const { point, disks } = vault.journal.state().points.get(first) ?? { point: '', disks: [] };
  const manifests = disks.map(({ manifest }) => manifest);
  await expire(first);
  await vault.journal.append(() => ({
    type: 'condemned',
    packs,
    pages: [],
    manifests,
    points: [point],
    moves: [],
    at: NOW.toISOString(),
  }));
  const again = await exported({ disk: 'other' });
  await commitRun(vault, again, NOW);
  const named = (await extentsOf(again)).map(({ pack }) => packName(pack ?? ''));
  expect(named.some((name) => packs.includes(name))).toBe(false);
});

test('a commit whose packs were condemned after they were deduped against is refused, and the journal says nothing of it', async () => {
  const first = await exported({});
  await commitRun(vault, first, NOW);
  const late = await exported({ disk: 'd2', content: (i) => i + 1 });
  const state = vault.journal.state();
  const committed = state.points.get(first);
  const packs = (await extentsOf(first)).flatMap(({ pack }) => (pack === undefined ? [] : [packName(pack)]));
  await expire(first);
  await vault.journal.append(() => ({
    type: 'condemned',
    packs: [...new Set(packs)],
    pages: [],
    manifests: committed?.disks.map(({ manifest }) => manifest) ?? [],
    points: [committed?.point ?? ''],
    moves: [],
    at: NOW.toISOString(),
  }));
  const before = vault.journal.state().position;
  const reuses = (await receiptPacks(late)).some((name) => packs.includes(name));
  if (!reuses) throw new Error('The test needs a part that was deduped against the condemned pack.');
  await expect(commitRun(vault, late, NOW)).rejects.toMatchObject({ code: 'condemned' });
  expect(vault.journal.state().position).toBe(before);
});

async function expire(run: string): Promise<void> {
  await vault.journal.append(() => ({ type: 'points-expired', points: [run], reason: 'test', at: NOW.toISOString() }));
}

async function receiptPacks(run: string): Promise<string[]> {
  const { decodeReceipt } = await import('#vault/format/receipt.ts');
  const { openRecord, RecordKind } = await import('#vault/format/record.ts');
  const names: string[] = [];
  for await (const { key } of memory.list(`receipts/${run}/`)) {
    const body = openRecord(vault.keyring, { kind: RecordKind.receipt, context: key }, await memory.get(key), key);
    names.push(...decodeReceipt(body, key).extents.flatMap(({ pack }) => (pack === undefined ? [] : [packName(pack)])));
  }
  return names;
}

test('a part that is not processed yet makes the commit refuse, and a later one succeed', async () => {
  const run = await exported({ process: false });
  await expect(commitRun(vault, run, NOW)).rejects.toMatchObject({ code: 'run-incomplete' });
  for await (const { key } of memory.list(`staging/${run}/`)) await openPartProcessor(vault, 1).process(key);
  expect(await commitRun(vault, run, NOW)).toMatchObject({ id: run });
});

test('a full read that leaves segments out is refused', async () => {
  const run = await exported({ data: [{ first: 0, count: 63 }] });
  await expect(commitRun(vault, run, NOW)).rejects.toMatchObject({ code: 'run-incomplete' });
});

test('an incremental over a base of another size is refused', async () => {
  const base = await exported({});
  await commitRun(vault, base, NOW);
  const run = await exported({ size: SIZE * 2, base, data: [{ first: 70, count: 1 }] });
  await expect(commitRun(vault, run, NOW)).rejects.toMatchObject({ code: 'part-refused' });
});

test('a base that the vault does not have is refused', async () => {
  const run = await exported({ base: '20200101-000000-000000', data: [] });
  await expect(commitRun(vault, run, NOW)).rejects.toMatchObject({ code: 'part-refused' });
});

test('an abandoned run can never commit, nor a committed one again', async () => {
  const abandoned = await exported({});
  await abandonRun(vault, abandoned, 'said so', NOW);
  await expect(commitRun(vault, abandoned, NOW)).rejects.toMatchObject({ code: 'run-ended' });
  const run = await exported({});
  await commitRun(vault, run, NOW);
  await expect(commitRun(vault, run, NOW)).rejects.toMatchObject({ code: 'run-ended' });
});

test('without a second recipient or a confirmed escrow code nothing is committed', async () => {
  await newVault(false);
  const run = await exported({});
  await expect(commitRun(vault, run, NOW)).rejects.toMatchObject({ code: 'no-escrow' });
});

test('a swapped receipt, a missing one and a damaged one are refused by name', async () => {
  for (const harm of ['swap', 'remove', 'flip'] as const) {
    const run = await exported({});
    const [a, b] = [0, 1].map((part) => receiptKey({ run, disk: 0, part }));
    if (a === undefined || b === undefined) throw new Error('two parts are needed');
    const bytes = await memory.get(harm === 'swap' ? b : a);
    if (harm === 'flip') bytes[100] = (bytes[100] ?? 0) ^ 4;
    await memory.remove([a]);
    if (harm !== 'remove') await memory.create(a, [bytes]);
    const code = harm === 'remove' ? 'run-incomplete' : 'damaged';
    await expect(commitRun(vault, run, NOW)).rejects.toMatchObject({ code, message: expect.stringContaining(a) });
  }
});

test('an empty change of a 1 TiB disk costs few requests and shares everything', async () => {
  const size = 1024 ** 4;
  const base = await exported({
    size,
    data: [{ first: 5, count: 3 }],
    zero: [
      { first: 0, count: 5 },
      { first: 8, count: segmentsOf(size) - 8 },
    ],
  });
  const before = await commitRun(vault, base, NOW);
  const run = await exported({ size, base, data: [] });
  const counted = openCountedStore(memory);
  vault = await openVault(counted, provider);
  const point = await commitRun(vault, run, NOW);
  expect(point.disks[0]?.manifest).toBe(before.disks[0]?.manifest);
  expect(counted.requests()).toBeLessThan(50);
});

test('two runs of one disk at once both commit, each complete in itself', async () => {
  const a = await exported({ content: (i) => i + 1 });
  const b = await exported({ content: (i) => i + 1000 });
  await Promise.all([commitRun(vault, a, NOW), commitRun(vault, b, NOW)]);
  expect([...vault.journal.state().points.keys()].sort()).toEqual([a, b].sort());
});

function imageOf(content: (segment: number) => number): string {
  const sum = newImageDigest(SIZE);
  for (let i = 0; i < segmentsOf(SIZE); i++) sum.add(i, Buffer.alloc(SEGMENT_SIZE, `${content(i)} `));
  return imageName(sum.finish());
}

/** `act` when the first try has written its records; each try but the `last` is overtaken: a sweep condemns its point. */
async function overtaken(store: ObjectStore, last: number, act = async () => {}): Promise<Vault> {
  let tries = 0;
  const none = { packs: [], pages: [], manifests: [], moves: [], at: NOW.toISOString() };
  const hooked = openHookedStore(store, async (verb, key) => {
    if (verb !== 'create' || !key.startsWith('points/') || ++tries === last) return;
    if (tries === 1) await act();
    await vault.journal.append(() => ({ type: 'condemned', ...none, points: [nameOf(key) ?? ''] }));
  });
  return openVault(hooked, provider);
}

test('an image is read back once, however often its commit is overtaken', async () => {
  const disk = imageOf((i) => i + 1);
  const run = await exported({ disk });
  const counted = openCountedStore(memory);
  const point = await commitRun(await overtaken(counted, 4), run, NOW);
  expect(point.disks[0]?.name).toBe(disk);
  const packs = (await Array.fromAsync(memory.list('packs/'))).reduce((sizes, { size }) => sizes + size, 0);
  const read = counted.counts().find(({ verb, folder }) => verb === 'get' && folder === 'packs')?.bytes ?? 0;
  expect(read).toBeGreaterThan(packs / 2);
  expect(read).toBeLessThan(packs * 1.5);
});

test('an image whose summary is another one at the next try is read back again', async () => {
  const [other, disk] = [imageOf((i) => i + 1), imageOf((i) => i + 1000)];
  const base = await exported({ disk: other });
  await commitRun(vault, base, NOW);
  const run = await exported({ disk, content: (i) => i + 1000 });
  const exchange = async () => {
    await memory.remove([stagingKey({ run, disk: 0, part: 'summary' })]);
    await exported({ into: run, disk, base, baseDisk: other, data: [] });
  };
  const late = await overtaken(memory, 2, exchange);
  await expect(commitRun(late, run, NOW)).rejects.toMatchObject({ code: 'part-refused' });
});
