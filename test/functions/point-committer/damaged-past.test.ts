import { expect, test } from 'vitest';
import { Folder } from '#vault/store/object-names.ts';
import { flipped, keysIn, replaceObject } from '../../damage.ts';
import { restored } from '../../restored.ts';
import { fresh, type Lab, newLab } from '../sweeper/lab.ts';

const DAMAGE = {
  missing: (lab: Lab, key: string) => lab.memory.remove([key]),
  damaged: async (lab: Lab, key: string) => replaceObject(lab.memory, key, flipped(await lab.memory.get(key), 90)),
};

test.each([
  ['manifests', 'missing'],
  ['manifests', 'damaged'],
  ['pages', 'missing'],
  ['pages', 'damaged'],
] as const)(
  'a full read commits though the %s of the disk are %s: it only would have shared them',
  async (kind, how) => {
    const lab = await newLab();
    await lab.backUp(fresh(1, 24));
    for (const key of await keysIn(lab.memory, Folder[kind])) await DAMAGE[how](lab, key);
    lab.guest.loseBitmaps();
    const { id } = await lab.backUp(fresh(2, 3));
    expect(lab.guest.moments.get(id)?.equals(await restored(await lab.open(), id))).toBe(true);
  },
);
