import { expect, test } from 'vitest';
import { ID_SIZE, openPackIndex } from '#vault/format/pack.ts';
import { contentKey, Folder, sampleKey } from '#vault/store/object-names.ts';
import { Crash, openFaultyStore } from '../../faulty-store.ts';
import { foundDamaged, fresh, type Lab, newLab } from '../sweeper/lab.ts';
import { checkAllEvenExpired, packsOfPoint } from '../sweeper/needed-objects.ts';

const packsOf = async (lab: Lab, run: string) => packsOfPoint(await lab.open(), run);

/** Makes every segment of a pack a sample of it. */
async function tellOfEachSegment(lab: Lab, pack: string): Promise<void> {
  const { keyring, store } = await lab.open();
  const key = contentKey(Folder.packs, pack);
  const head = await store.get(key);
  const { ids } = openPackIndex(keyring, head, key);
  const found = await Array.fromAsync(store.list(Folder.samples));
  await store.remove(found.map((sample) => sample.key));
  const reference =
    pack +
    head
      .subarray(76, 76 + head.readUInt32LE(12))
      .subarray(-16)
      .toString('hex');
  for (let at = 0; at < ids.length; at += ID_SIZE)
    await store.create(sampleKey(ids.toString('hex', at, at + ID_SIZE)), [Buffer.from(reference, 'latin1')]);
}

test.each([true, false])(
  'content is deduped against a pack unless it was found damaged (damaged: %s)',
  async (isDamaged) => {
    const lab = await newLab();
    const { id } = await lab.backUp(fresh(1, 24), 24);
    const damaged = await packsOf(lab, id);
    if (isDamaged) await lab.append(foundDamaged(damaged));
    lab.guest.loseBitmaps();
    const again = await lab.backUp([4711], 24);
    expect((await packsOf(lab, again.id)).some((pack) => damaged.includes(pack))).toBe(!isDamaged);
    expect(await checkAllEvenExpired(lab)).toBe(2);
  },
);

test('content is never deduped against a pack that was emptied, though its samples still tell of it', async () => {
  const lab = await newLab();
  const { id } = await lab.backUp(fresh(1, 24), 24);
  await lab.backUp(
    fresh(1, 24).map((_, i) => (i % 4 === 0 ? undefined : 2000 + i)),
    24,
  );
  await lab.expire(id);
  await lab.sweep();
  const dies = openFaultyStore(lab.memory, [{ on: 'remove', call: 1, does: 'crash-before', under: Folder.samples }]);
  await expect(lab.move({}, await lab.openOver(dies))).rejects.toThrow(Crash);
  const { moved } = (await lab.open()).journal.state();
  expect(moved.size).toBe(1);
  await tellOfEachSegment(lab, [...moved.keys()][0] ?? '');
  lab.guest.loseBitmaps();
  const back = await lab.backUp(fresh(1, 24), 24);
  expect((await packsOf(lab, back.id)).some((pack) => moved.has(pack))).toBe(false);
  expect(await checkAllEvenExpired(lab)).toBe(2);
});
