import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { openKnownSegments } from '#vault/dedupe/known-segments.ts';
import { segmentId } from '#vault/dedupe/segment-id.ts';
import { MOST_NAMED_PACKS } from '#vault/format/known-data.ts';
import { packName } from '#vault/format/pack.ts';
import { newStagedPart, type PartHeader, partAgreement, RunKind, sealedDataSize } from '#vault/format/staged-part.ts';
import { agreeAsSender } from '#vault/keys/hpke.ts';
import { newIdentity } from '#vault/keys/identity.ts';
import { startRun, ticketFor } from '#vault/runs.ts';
import type { VaultKnowledge } from '#vault/staging/ask-first.ts';
import type { HeldMoment } from '#vault/staging/changed-block-source.ts';
import { exportDisk } from '#vault/staging/export-disk.ts';
import { openPart } from '#vault/staging/open-part.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { stagingKey } from '#vault/store/object-names.ts';
import { createVault, type Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE, segmentsOf } from '#vault/words.ts';
import { commitRun } from '../../../functions/point-committer/commit-run.ts';
import { openPartProcessor } from '../../../functions/segment-processor/process-part.ts';
import { restored } from '../../restored.ts';

const NOW = new Date('2026-01-02T03:04:05Z');
const DISK = { name: 'd', origin: 'test' };
const PART_SEGMENTS = 16;
let vault: Vault;

beforeEach(async () => {
  const recipients = [{ kind: 'key-file', publicKey: newIdentity().identity.publicKey }] as const;
  vault = await createVault(openMemoryStore(), { recipients, noEscrow: true, now: NOW });
});

const newRun = () => startRun(vault, { group: 'g', disks: ['d'], host: 'h', process: '1@b' }, NOW);

function momentOf(image: Buffer): HeldMoment {
  const all = { first: 0, count: segmentsOf(image.length) };
  const plan = { disk: { ...DISK, size: image.length }, base: undefined, fullReason: undefined, data: [all], zero: [] };
  return {
    ...{ plans: [{ ...plan, audit: [] }], takenAt: NOW, consistency: 'crash', consistencyNote: '', frozenMs: 0 },
    read: async (_: number, offset: number, length: number, into: Uint8Array) => {
      Buffer.from(into.buffer, into.byteOffset, length).fill(0);
      image.copy(into, 0, offset, offset + length);
    },
    end: async () => undefined,
  } as unknown as HeldMoment;
}

/** Answers from the vault, but for the segments that `keepBack` keeps back, by how many have been answered so far. */
function knowledgeOf(keepBack: (i: number) => boolean = () => false): VaultKnowledge {
  const segments = openKnownSegments(vault);
  const { idKey, epoch } = vault.keyring.newest;
  let answered = 0;
  return {
    idKey,
    ask: async (question) => {
      const knowledge = await segments.look({ segments: [], epoch, ...question }, () => false);
      return question.ids.map((_, i) => (keepBack(answered++) ? undefined : knowledge.find(i, undefined)?.pack));
    },
  };
}

/** Stages an image for a run; tells the bytes that were said to be known. */
function stage(run: string, image: Buffer, knowledge?: VaultKnowledge, lineage?: string): Promise<number> {
  return stageMoment(run, momentOf(image), knowledge, lineage);
}

async function stageMoment(
  run: string,
  moment: HeldMoment,
  knowledge?: VaultKnowledge,
  lineage?: string,
): Promise<number> {
  let known = 0;
  await exportDisk(moment, 0, ticketFor(vault, run, 0), lineage, {
    ...{ staging: vault.store, notice: async () => undefined, progress: () => undefined, bandwidth: undefined },
    ...{
      partSegments: PART_SEGMENTS,
      knowledge,
      known: (bytes) => {
        known += bytes;
      },
    },
  });
  return known;
}

async function stagedKeys(run: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of vault.store.list(`staging/${run}/`)) if (!key.endsWith('summary')) keys.push(key);
  return keys;
}

async function stagedBytes(run: string): Promise<number> {
  let bytes = 0;
  for await (const { size } of vault.store.list(`staging/${run}/`)) bytes += size;
  return bytes;
}

async function backUp(image: Buffer, knowledge?: VaultKnowledge): Promise<string> {
  const run = await newRun();
  await stage(run, image, knowledge);
  const processor = openPartProcessor(vault, 1);
  for (const key of await stagedKeys(run)) await processor.process(key);
  await commitRun(vault, run, NOW);
  return run;
}

/** Which segments each part deals with. */
async function bordersOf(run: string): Promise<string[]> {
  const parts = await stagedKeys(run);
  return Promise.all(
    parts.map(async (_, part) => {
      const { header } = await openPart(vault, { run, disk: 0, part });
      const last = header.runs.at(-1);
      return `${header.runs[0]?.first}-${(last?.first ?? 0) + (last?.count ?? 0)}`;
    }),
  );
}

const image = (contents: readonly number[]) =>
  Buffer.concat(
    contents.map((content) => (content === 0 ? Buffer.alloc(SEGMENT_SIZE) : Buffer.alloc(SEGMENT_SIZE, `${content} `))),
  );

test('whatever the vault says that it has, a point is the disk, and parts are cut at the same places', async () => {
  const contents = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 60 })), { minLength: 1, maxLength: 90 });
  const kept = fc.array(fc.boolean(), { minLength: 1, maxLength: 9 });
  await fc.assert(
    fc.asyncProperty(contents, contents, kept, async (before, now, keepBack) => {
      await backUp(image(before));
      const keeps = (i: number) => keepBack[i % keepBack.length] ?? false;
      const point = await backUp(image(now), knowledgeOf(keeps));
      expect((await restored(vault, point)).equals(image(now))).toBe(true);
      const [asked, unasked] = [await newRun(), await newRun()];
      await stage(asked, image(now), knowledgeOf(keeps));
      await stage(unasked, image(now));
      expect(await bordersOf(asked)).toEqual(await bordersOf(unasked));
    }),
    { numRuns: 10 },
  );
});

test('a disk that the vault has is read and not sent', async () => {
  const whole = image(Array.from({ length: 64 }, (_, i) => i + 1));
  const point = await backUp(whole);
  const before = vault.journal.state().points.get(point)?.disks[0]?.manifest;
  const run = await newRun();
  expect(await stage(run, whole, knowledgeOf(), before)).toBe(whole.length);
  expect(await stagedBytes(run)).toBeLessThan(SEGMENT_SIZE / 2);
  const processor = openPartProcessor(vault, 1);
  const outcomes = await Promise.all((await stagedKeys(run)).map((key) => processor.process(key)));
  for (const outcome of outcomes) {
    const stats = { dataSegments: PART_SEGMENTS, newSegments: 0, storedBytes: 0 };
    expect(outcome).toMatchObject({ kind: 'processed', receipt: { stats } });
  }
});

test('a disk whose parts have all the runs that they may have can be read, also where every other segment is known', async () => {
  const gaps = Array.from({ length: 4093 }, (_, i) => ({ first: 2 * i, count: 1 }));
  const last = { first: 2 * gaps.length, count: 32 };
  const content = Array.from({ length: 32 }, (_, i) => (i % 2 === 0 ? i + 1 : 0));
  const whole = Buffer.alloc((last.first + last.count) * SEGMENT_SIZE);
  image(content).copy(whole, last.first * SEGMENT_SIZE);
  const moment = momentOf(whole);
  const [plan] = moment.plans;
  if (plan === undefined) throw new Error('no plan');
  const sparse = { ...moment, plans: [{ ...plan, data: [last], zero: gaps }] };
  const run = await newRun();
  await stageMoment(run, sparse, knowledgeOf());
  for (const key of await stagedKeys(run)) await openPartProcessor(vault, 1).process(key);
});

/** Stages a part that carries nothing, and tells two segments by ids that it may have made up. */
async function stageTold(known: PartHeader['known'], run: string, segments = 2): Promise<string> {
  const ticket = ticketFor(vault, run, 0);
  const agreed = await agreeAsSender(ticket.stagingPublicKey, partAgreement(vault.id, run, 0, 0, ticket.token));
  const runs = [{ first: 3, count: segments, kind: RunKind.known }];
  const header = { diskSize: 2000 * SEGMENT_SIZE, lineage: undefined, runs, ...(known === undefined ? {} : { known }) };
  const key = stagingKey({ run, disk: 0, part: 0 });
  await vault.store.create(key, newStagedPart(ticket.epoch, agreed, Buffer.alloc(sealedDataSize(0))).finish(header));
  return key;
}

const idOf = (content: number) => segmentId(vault.keyring.newest, image([content]));

async function packOf(point: string): Promise<string> {
  const run = await newRun();
  await stage(run, image([1, 2]), knowledgeOf());
  const { header } = await openPart(vault, { run, disk: 0, part: 0 });
  expect(header.known?.packs).toHaveLength(1);
  return header.known?.packs[0] ?? point;
}

type Told = NonNullable<PartHeader['known']>;
test.each<[string, (pack: string) => Told, string]>([
  [
    'an id that the pack does not hold',
    (pack) => ({ packs: [pack], ids: Buffer.concat([idOf(1), idOf(9)]) }),
    'part-refused',
  ],
  ['ids without a pack', () => ({ packs: [], ids: Buffer.concat([idOf(1), idOf(2)]) }), 'part-refused'],
  [
    'a pack that is not there',
    () => ({ packs: ['ab'.repeat(48)], ids: Buffer.concat([idOf(1), idOf(2)]) }),
    'part-refused',
  ],
  ['ids that nobody can know', (pack) => ({ packs: [pack], ids: randomBytes(64) }), 'part-refused'],
  ['fewer ids than segments', (pack) => ({ packs: [pack], ids: idOf(1) }), 'bad-format'],
  ['more ids than segments', (pack) => ({ packs: [pack], ids: randomBytes(96) }), 'bad-format'],
  [
    'more packs than a part may name',
    (pack) => ({ packs: Array(MOST_NAMED_PACKS + 1).fill(pack) as string[], ids: Buffer.concat([idOf(1), idOf(2)]) }),
    'bad-format',
  ],
])('a part that tells %s is refused by name, and leaves no receipt', async (_, told, code) => {
  const pack = await packOf(await backUp(image([1, 2])));
  const key = await stageTold(told(pack), await newRun());
  await expect(openPartProcessor(vault, 1).process(key)).rejects.toMatchObject({
    code,
    message: expect.stringContaining(key),
  });
  for await (const { key: receipt } of vault.store.list('receipts/')) expect(receipt).not.toContain(key.split('/')[1]);
});

test('a part that tells more segments than a part may have is refused before anything is made of it', async () => {
  await backUp(image([1, 2]));
  const key = await stageTold({ packs: [], ids: Buffer.alloc(1025 * 32) }, await newRun(), 1025);
  await expect(openPartProcessor(vault, 1).process(key)).rejects.toMatchObject({ code: 'part-refused' });
});

test('what was condemned since the vault was asked is not referred to: the run says so, the next one sends it', async () => {
  const pack = await packOf(await backUp(image([1, 2])));
  const run = await newRun();
  await stage(run, image([1, 2]), knowledgeOf());
  await vault.journal.append(() => ({
    ...{
      type: 'condemned',
      packs: [packName(pack)],
      pages: [],
      manifests: [],
      points: [],
      moves: [],
      at: NOW.toISOString(),
    },
  }));
  const [key = ''] = await stagedKeys(run);
  await expect(openPartProcessor(vault, 1).process(key)).rejects.toMatchObject({
    code: 'part-refused',
    message: expect.stringContaining('the next one sends it'),
  });
});
