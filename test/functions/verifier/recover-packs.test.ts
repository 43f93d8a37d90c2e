import { describe, expect, test } from 'vitest';
import { packName } from '#vault/format/pack.ts';
import { rotateKeys } from '#vault/key-epochs/rotate-keys.ts';
import { readManifest, readPage } from '#vault/records.ts';
import { contentKey, Folder, nameOf } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { recoverPacks } from '../../../functions/verifier/recover-packs.ts';
import type { SegmentSource } from '../../../functions/verifier/segment-source.ts';
import { verifyObjects } from '../../../functions/verifier/verify-objects.ts';
import { keysIn } from '../../damage.ts';
import { onceBefore, openHookedStore } from '../../hooked-store.ts';
import { restored } from '../../restored.ts';
import { fresh, type Lab, NOW, newLab } from '../sweeper/lab.ts';
import { checkAllEvenExpired, strays } from '../sweeper/needed-objects.ts';
import { imageSource, oneLab, spoilFrame } from './damaged-packs.ts';

async function recover(lab: Lab, keys: readonly string[], sources: readonly SegmentSource[], store?: ObjectStore) {
  const vault = await lab.openOver(store ?? lab.memory);
  const packs = keys.flatMap((key) => nameOf(key) ?? []);
  return recoverPacks(vault, { packs, sources, now: NOW, dryRun: false });
}

const positionOf = async (lab: Lab) => (await lab.open()).journal.state().position;

describe('A pack whose frames are damaged', () => {
  test('is recovered where the source has the same, and the next sweep leaves nothing behind', async () => {
    const { lab, image, packs } = await oneLab();
    for (const key of packs) await spoilFrame(lab.memory, key);
    const { packs: became, written } = await recover(lab, packs, [imageSource(image, false)]);
    expect(became.map(({ outcome, needed }) => [outcome, needed])).toEqual(packs.map(() => ['recovered', 8]));
    expect(await checkAllEvenExpired(lab)).toBe(1);
    const vault = await lab.open();
    const points = [...vault.journal.state().points.values()];
    expect(await verifyObjects(vault, points, { damaged: packs, written })).toEqual([]);
    await lab.sweep();
    expect(await strays(await lab.open())).toEqual([]);
  });

  test('is not moved at all for a source that lies', async () => {
    const { lab, image, packs } = await oneLab();
    for (const key of packs) await spoilFrame(lab.memory, key);
    const [before, position] = [await keysIn(lab.memory, ''), await positionOf(lab)];
    const liars = [Buffer.alloc(image.length, 1), Buffer.concat([image.subarray(SEGMENT_SIZE), image])];
    const sources = liars.flatMap((lie, i) => [imageSource(lie, true, `a${i}`), imageSource(lie, false, `b${i}`)]);
    const { packs: became } = await recover(lab, packs, sources);
    expect(became.map(({ outcome, found }) => [outcome, found])).toEqual(packs.map(() => ['lost', 0]));
    expect([await keysIn(lab.memory, ''), await positionOf(lab)]).toEqual([before, position]);
  });

  test('keeps what is intact in it, and the rest is lost as before', async () => {
    const lab = await newLab(40);
    const { id } = await lab.backUp(fresh(1, 40), 40);
    const [key = ''] = await keysIn(lab.memory, Folder.packs);
    await spoilFrame(lab.memory, key);
    const { packs: became } = await recover(lab, [key], []);
    // Frames have 16 segments: two are whole, the last one of 8 is not.
    expect(became).toMatchObject([{ outcome: 'partly', kept: 32, found: 0, lost: [{ first: 32, count: 8 }] }]);
    await expect(restored(await lab.open(), id)).rejects.toMatchObject({ code: 'damaged' });
    const vault = await lab.open();
    const points = [...vault.journal.state().points.values()];
    const findings = await verifyObjects(vault, points, { damaged: [key], written: [] });
    const affects = [{ point: id, disk: 'disk', offset: 32 * SEGMENT_SIZE, length: 8 * SEGMENT_SIZE }];
    expect(findings).toMatchObject([{ object: key, affects }]);
  });

  test('is recovered for expired points too, which may be brought back', async () => {
    const { lab, run, image, packs } = await oneLab();
    await lab.expire(run);
    for (const key of packs) await spoilFrame(lab.memory, key);
    await recover(lab, packs, [imageSource(image, false)]);
    expect(await checkAllEvenExpired(lab)).toBe(1);
  });

  test('is recovered when it is of an older key epoch, under the newest', async () => {
    const { lab, image, packs } = await oneLab();
    await rotateKeys(await lab.open(), { remove: [], noEscrow: true, now: NOW });
    await spoilFrame(lab.memory, packs[0] ?? '');
    const { packs: became } = await recover(lab, packs.slice(0, 1), [imageSource(image, false)]);
    expect(became).toMatchObject([{ outcome: 'recovered', found: 8 }]);
    expect(await checkAllEvenExpired(lab)).toBe(1);
  });

  test('is written anew when a sweep takes the new packs for left-overs', async () => {
    const { lab, image, packs } = await oneLab();
    await spoilFrame(lab.memory, packs[0] ?? '');
    const store = openHookedStore(
      lab.memory,
      onceBefore('create', Folder.moves, () => lab.sweep()),
    );
    const { packs: became } = await recover(lab, packs.slice(0, 1), [imageSource(image, false)], store);
    expect(became).toMatchObject([{ outcome: 'recovered' }]);
    expect(await checkAllEvenExpired(lab)).toBe(1);
  });

  test('is left to the one who was faster', async () => {
    const { lab, image, packs } = await oneLab();
    for (const key of packs) await spoilFrame(lab.memory, key);
    const source = imageSource(image, false);
    const store = openHookedStore(
      lab.memory,
      onceBefore('create', Folder.moves, () => recover(lab, packs.slice(0, 1), [source])),
    );
    const { packs: became } = await recover(lab, packs, [source], store);
    expect(became.map(({ outcome }) => outcome).sort()).toEqual(['moved', 'recovered', 'recovered']);
    expect(await checkAllEvenExpired(lab)).toBe(1);
  });
});

describe('A pack that is gone', () => {
  test('is recovered from what a key vouches for', async () => {
    const { lab, image, packs } = await oneLab();
    await lab.memory.remove(packs.slice(0, 2));
    const { packs: became } = await recover(lab, packs, [imageSource(image, true)]);
    expect(became.map(({ outcome, vouched }) => [outcome, vouched]).sort()).toEqual([
      ['recovered', 0],
      ['recovered', 8],
      ['recovered', 8],
    ]);
    expect(await checkAllEvenExpired(lab)).toBe(1);
  });

  test('is not made up from what nobody vouches for', async () => {
    const { lab, image, packs } = await oneLab();
    await lab.memory.remove(packs);
    const { packs: became } = await recover(lab, packs, [imageSource(image, false)]);
    expect(became.map(({ outcome, found }) => [outcome, found])).toEqual(packs.map(() => ['lost', 0]));
  });

  test('is not believed to copies that differ, where they do', async () => {
    const { lab, run, image, packs } = await oneLab();
    await lab.memory.remove(packs);
    const other = Buffer.from(image);
    other.fill(1, 3 * SEGMENT_SIZE, 4 * SEGMENT_SIZE);
    const sources = [
      imageSource(image, true, 'one'),
      imageSource(other, true, 'two'),
      imageSource(image, true, 'three'),
    ];
    const { packs: became } = await recover(lab, packs, sources);
    expect(became.reduce((sum, { lost }) => sum + lost.length, 0)).toBe(1);
    const vault = await lab.open();
    const { disks } = vault.journal.state().points.get(run) ?? { disks: [] };
    const manifest = await readManifest(vault, disks[0]?.manifest ?? '');
    const extents = await readPage(vault, manifest.pages[0] ?? '');
    const [lost] = became.flatMap(({ key, lost }) => lost.map(({ first }) => ({ key, first })));
    const third = extents.find(({ start, count }) => start <= 3 && start + count > 3);
    expect(lost).toEqual({
      key: contentKey(Folder.packs, packName(third?.pack ?? '')),
      first: (third?.first ?? 0) + 3 - (third?.start ?? 0),
    });
  });
});
