import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import { newNeededPacks, usesAt } from '../../../functions/verifier/needed-packs.ts';

const digest = (text: string) => createHash('sha256').update(text).digest('hex');
const nameOf = (pack: number) => digest(`pack ${pack}`);
const referenceOf = (pack: number, tag: number) => nameOf(pack) + digest(`tag ${tag}`).slice(0, 32);
const keyOf = (pack: number) => contentKey(Folder.packs, nameOf(pack));

/** Few packs, so that they come again, or many, so that the table grows; seldom another tag. */
const adds = fc
  .oneof({ arbitrary: fc.constant(5), weight: 1 }, { arbitrary: fc.constant(400), weight: 1 })
  .chain((most) =>
    fc.array(
      fc.record({
        pack: fc.nat(most),
        tag: fc.oneof({ arbitrary: fc.constant(0), weight: 9 }, { arbitrary: fc.nat(2), weight: 1 }),
        segments: fc.integer({ min: 1, max: 4096 }),
      }),
      { maxLength: 600 },
    ),
  );

test('each way in which a pack was named is told, with the most segments that it must have', () => {
  fc.assert(
    fc.property(adds, (all) => {
      const packs = newNeededPacks();
      const model = new Map<string, Map<string, number>>();
      for (const { pack, tag, segments } of all) {
        const reference = referenceOf(pack, tag);
        packs.add(reference, segments);
        const uses = model.get(keyOf(pack)) ?? new Map<string, number>();
        model.set(keyOf(pack), uses.set(reference, Math.max(uses.get(reference) ?? 0, segments)));
      }
      const found = Array.from({ length: packs.size }, (_, pack) => [packs.key(pack), packs.uses(pack)] as const);
      expect(found).toEqual(
        [...model].map(([key, uses]) => [key, [...uses].map(([reference, segments]) => ({ reference, segments }))]),
      );
      for (const [key, uses] of found) expect(usesAt(packs, key)).toEqual(uses);
    }),
  );
});

test('what is not needed is not found: another pack, what is no pack, what has no such name', () => {
  const packs = newNeededPacks();
  expect(packs.find(keyOf(0))).toBe(-1);
  packs.add(referenceOf(0, 0), 7);
  for (const key of [keyOf(1), 'vault.json', 'journal/00000000000000000001', `packs/${nameOf(0)}`, ''])
    expect({ key, uses: usesAt(packs, key) }).toEqual({ key, uses: [] });
});
