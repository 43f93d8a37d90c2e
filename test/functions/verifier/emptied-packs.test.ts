import { expect, test } from 'vitest';
import { Folder, nameOf } from '#vault/store/object-names.ts';
import { recordVerification } from '../../../functions/verifier/record-verification.ts';
import { recoverPacks } from '../../../functions/verifier/recover-packs.ts';
import { verifyVault } from '../../../functions/verifier/verify-vault.ts';
import { keysIn, replaceObject } from '../../damage.ts';
import { fresh, type Lab, NOW, newLab } from '../sweeper/lab.ts';
import { imageSource, oneLab, spoilFrame } from './damaged-packs.ts';

async function verify(lab: Lab) {
  const vault = await lab.open();
  const { points, expired } = vault.journal.state();
  const all = { points: [...points.values()], expired: [...expired.values()] };
  const report = await verifyVault({ ...vault, ...all, threads: undefined });
  await recordVerification(vault, report, { shards: Array.from({ length: 256 }, (_, n) => n), keyed: true }, NOW);
  const objects = (list: readonly { readonly object: string }[]) => list.map(({ object }) => object);
  const damaged = [...vault.journal.state().damaged];
  return { findings: objects(report.findings), emptied: objects(report.emptied), damaged };
}

const recover = async (lab: Lab, keys: readonly string[], image?: Buffer) =>
  recoverPacks(await lab.open(), {
    packs: keys.flatMap((key) => nameOf(key) ?? []),
    sources: image === undefined ? [] : [imageSource(image, false)],
    ...{ now: NOW, dryRun: false },
  });

/** One pack of 40 segments in three frames, of which the last, of 8 segments, is damaged. */
async function halfDamaged() {
  const lab = await newLab(40);
  const { id } = await lab.backUp(fresh(1, 40), 40);
  const [key = ''] = await keysIn(lab.memory, Folder.packs);
  await spoilFrame(lab.memory, key);
  return { lab, id, key };
}

test('a damaged pack out of which all was recovered is no finding: it is repaired, and goes with the next sweep', async () => {
  const { lab, image, packs } = await oneLab();
  for (const key of packs) await spoilFrame(lab.memory, key);
  expect(await verify(lab)).toMatchObject({ findings: packs, emptied: [] });
  await recover(lab, packs, image);
  expect(await verify(lab)).toEqual({ findings: [], emptied: packs, damaged: packs.map(nameOf) });
  await lab.sweep();
  expect(await verify(lab)).toEqual({ findings: [], emptied: [], damaged: [] });
});

test('one of which a part was recovered is damaged as before', async () => {
  const { lab, key } = await halfDamaged();
  await recover(lab, [key]);
  expect(await verify(lab)).toMatchObject({ findings: [key], emptied: [] });
});

test('one of which an expired point needs the rest is not called repaired: the point can be brought back', async () => {
  const { lab, id, key } = await halfDamaged();
  await lab.backUp([...Array.from({ length: 32 }, () => undefined), ...fresh(2, 8)], 40);
  await recover(lab, [key]);
  await lab.expire(id);
  expect(await verify(lab)).toMatchObject({ findings: [key], emptied: [] });
  await lab.sweep();
  expect(await verify(lab)).toMatchObject({ findings: [], emptied: [] });
});

test('while a page cannot be read no pack is called repaired', async () => {
  const { lab, image, packs } = await oneLab();
  for (const key of packs) await spoilFrame(lab.memory, key);
  await recover(lab, packs, image);
  const [page = ''] = await keysIn(lab.memory, Folder.pages);
  await replaceObject(lab.memory, page, Buffer.from('rubbish'));
  expect(await verify(lab)).toMatchObject({ findings: [...packs, page], emptied: [] });
});

test('an expired point whose manifest a sweep has removed costs no verification: no pack is called repaired', async () => {
  const { lab, id, key } = await halfDamaged();
  const manifests = await keysIn(lab.memory, Folder.manifests);
  await lab.backUp([...Array.from({ length: 32 }, () => undefined), ...fresh(2, 8)], 40);
  await recover(lab, [key]);
  await lab.expire(id);
  await lab.memory.remove(manifests);
  expect(await verify(lab)).toMatchObject({ findings: [key], emptied: [] });
});
