import { expect, test } from 'vitest';
import { nameOf } from '#vault/store/object-names.ts';
import type { Vault } from '#vault/vault.ts';
import { recoverPacks } from '../../../functions/verifier/recover-packs.ts';
import { Crash } from '../../faulty-store.ts';
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

/** Whether it was let die. */
async function dies(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return false;
  } catch (error) {
    expect(error).toBeInstanceOf(Crash);
    return true;
  }
}

test.each(['crash-before', 'crash-after'] as const)(
  'a repair that dies at any write (%s) is finished by the next one, and leaves nothing behind',
  async (does) => {
    let died = true;
    let call = 0;
    // How many writes there are differs with the keys, which are random: they decide the samples.
    while (died) {
      const damaged = await damagedLab();
      const { lab } = damaged;
      died = await dies(recover(damaged, await lab.open({ on: 'write', call: ++call, does })));
      await recover(damaged, await lab.open());
      expect(await checkAllEvenExpired(lab)).toBe(1);
      await lab.sweep();
      await lab.sweep({ allSamples: true });
      expect(await strays(await lab.open())).toEqual([]);
    }
    expect(call).toBeGreaterThan(4);
  },
);
