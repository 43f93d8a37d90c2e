import { afterEach, describe, expect, test, vi } from 'vitest';
import { codeOf } from '#vault/errors.ts';
import type * as Compression from '#vault/format/compression.ts';
import type * as Sealing from '#vault/format/sealing.ts';
import { newStagedPart, partAgreement, RunKind, sealedDataSize } from '#vault/format/staged-part.ts';
import { agreeAsSender } from '#vault/keys/hpke.ts';
import { newIdentity } from '#vault/keys/identity.ts';
import { startRun, ticketFor } from '#vault/runs.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { Folder, stagingKey } from '#vault/store/object-names.ts';
import { createVault, type Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { openPartProcessor } from '../../../functions/segment-processor/process-part.ts';
import { keysIn } from '../../damage.ts';
import { fresh, newLab } from '../sweeper/lab.ts';
import { checkAllEvenExpired } from '../sweeper/needed-objects.ts';

/** What the next frame suffers: in its compressed bytes before they are sealed, or in the sealed ones. */
const planted = vi.hoisted((): { fault: 'encode' | 'seal' | 'none' } => ({ fault: 'none' }));
const LARGE = 10_000;
const COUNT = 20;

vi.mock('#vault/format/compression.ts', async (original) => {
  const real = await original<typeof Compression>();
  const encode: typeof real.encode = (plain, level) => {
    if (planted.fault !== 'encode' || plain.length < LARGE) return real.encode(plain, level);
    const wrong = Buffer.from(plain);
    wrong.writeUInt8(wrong.readUInt8(LARGE - 1) ^ 1, LARGE - 1);
    return real.encode(wrong, level);
  };
  return { ...real, encode };
});
vi.mock('#vault/format/sealing.ts', async (original) => {
  const real = await original<typeof Sealing>();
  const seal: typeof real.seal = (...given) => {
    const [sealed, tag] = real.seal(...given);
    if (planted.fault === 'seal' && sealed.length > 0) sealed.writeUInt8(sealed.readUInt8(0) ^ 1, 0);
    return [sealed, tag];
  };
  return { ...real, seal };
});
afterEach(() => {
  planted.fault = 'none';
});

/** A part of segments that compress, staged and not yet processed. */
async function staged(): Promise<{ vault: Vault; key: string }> {
  const { identity } = newIdentity();
  const recipients = [{ kind: 'key-file', publicKey: identity.publicKey }] as const;
  const vault = await createVault(openMemoryStore(), { recipients, noEscrow: true, now: new Date() });
  const run = await startRun(vault, { group: 'g', disks: ['d'], host: 'h', process: '1@b' }, new Date());
  const { stagingPublicKey, token, epoch } = ticketFor(vault, run, 0);
  const agreed = await agreeAsSender(stagingPublicKey, partAgreement(vault.id, run, 0, 0, token));
  const part = newStagedPart(epoch, agreed, Buffer.alloc(sealedDataSize(COUNT)));
  part.addData(Buffer.alloc(COUNT * SEGMENT_SIZE, 'some text that repeats itself, but for '));
  const key = stagingKey({ run, disk: 0, part: 0 });
  const runs = [{ first: 0, count: COUNT, kind: RunKind.data }];
  await vault.store.create(key, part.finish({ diskSize: 100 * SEGMENT_SIZE, lineage: undefined, runs }));
  return { vault, key };
}

async function processWith(fault: typeof planted.fault, checkPacks: boolean) {
  const { vault, key } = await staged();
  planted.fault = fault;
  const failure: unknown = await openPartProcessor(vault, 1, checkPacks)
    .process(key)
    .then(
      () => undefined,
      (error: unknown) => error,
    );
  planted.fault = 'none';
  const left = [await keysIn(vault.store, Folder.packs), await keysIn(vault.store, Folder.receipts)];
  // Nothing is lost: another try has the part still.
  if (failure !== undefined) await openPartProcessor(vault, 1, true).process(key);
  return { failure, left, after: await keysIn(vault.store, Folder.receipts) };
}

describe('A pack that its maker gets wrong', () => {
  test.each([
    ['seal', false],
    ['seal', true],
    ['encode', true],
  ] as const)(
    'in %s is not stored (every segment checked: %s), and the next try goes well',
    async (fault, checkPacks) => {
      const { failure, left, after } = await processWith(fault, checkPacks);
      expect(codeOf(failure)).toBe('function-failed');
      expect(String(failure)).toContain("this machine's memory");
      expect(left).toEqual([[], []]);
      expect(after).toHaveLength(1);
    },
  );

  test('in compression alone is found only where every segment is checked: that is what the setting is for', async () => {
    expect((await processWith('encode', false)).failure).toBeUndefined();
  });

  test('is checked without a fault, and stored', async () => {
    const { failure, left } = await processWith('none', true);
    expect([failure, left[0]?.length]).toEqual([undefined, 1]);
  });
});

test.each([
  ['seal', 'does not open'],
  ['encode', 'is not the one that was packed'],
] as const)('A compaction whose %s goes wrong moves nothing', async (fault, said) => {
  const lab = await newLab();
  const { id } = await lab.backUp(fresh(1, 24), 8);
  await lab.backUp(
    fresh(1, 24).map((_, i) => (i % 2 === 0 ? undefined : 2000 + i)),
    8,
  );
  await lab.expire(id);
  await lab.sweep();
  planted.fault = fault;
  await expect(lab.move()).rejects.toMatchObject({ code: 'function-failed', message: expect.stringContaining(said) });
  planted.fault = 'none';
  expect((await lab.open()).journal.state().moved.size).toBe(0);
  expect(await checkAllEvenExpired(lab)).toBe(1);
});
