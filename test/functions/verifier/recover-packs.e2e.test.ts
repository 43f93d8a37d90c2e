import { expect, test } from 'vitest';
import { nameOf } from '#vault/store/object-names.ts';
import type { Vault } from '#vault/vault.ts';
import { recoverPacks } from '../../../functions/verifier/recover-packs.ts';
import { Crash } from '../../faulty-store.ts';
import { openHookedStore } from '../../hooked-store.ts';
import { NOW } from '../sweeper/lab.ts';
import { checkAllEvenExpired, strays } from '../sweeper/needed-objects.ts';
import { type DamagedLab, imageSource, oneLab, spoilFrame } from './damaged-packs.ts';

function recover({ image, packs }: DamagedLab, vault: Vault) {
  const names = packs.flatMap((key) => nameOf(key) ?? []);
  return recoverPacks(vault, { packs: names, sources: [imageSource(image, false)], now: NOW, dryRun: false });
}

async function damagedLab(): Promise<DamagedLab> {
  const damaged = await oneLab();
  for (const key of damaged.packs) await spoilFrame(damaged.lab.memory, key);
  return damaged;
}

async function writesOf(damaged: DamagedLab): Promise<number> {
  let writes = 0;
  const store = openHookedStore(damaged.lab.memory, async (verb) => {
    if (verb === 'create' || verb === 'remove') writes++;
  });
  await recover(damaged, await damaged.lab.openOver(store));
  return writes;
}

test.each(['crash-before', 'crash-after'] as const)(
  'a repair that dies at any write (%s) is finished by the next one, and leaves nothing behind',
  async (does) => {
    const writes = await writesOf(await damagedLab());
    expect(writes).toBeGreaterThan(3);
    for (let call = 1; call <= writes; call++) {
      const damaged = await damagedLab();
      const { lab } = damaged;
      const dying = await lab.open({ on: 'write', call, does });
      await expect(recover(damaged, dying)).rejects.toBeInstanceOf(Crash);
      await recover(damaged, await lab.open());
      expect(await checkAllEvenExpired(lab)).toBe(1);
      await lab.sweep();
      await lab.sweep({ allSamples: true });
      expect(await strays(await lab.open())).toEqual([]);
    }
  },
);
