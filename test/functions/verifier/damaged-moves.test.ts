import { beforeAll, describe, expect, test } from 'vitest';
import { readManifest, readMove, writeMove } from '#vault/records.ts';
import { openDiskReader } from '#vault/restore/read-disk.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import type { Vault } from '#vault/vault.ts';
import { segmentsOf } from '#vault/words.ts';
import { repairObjects } from '../../../functions/verifier/repair-objects.ts';
import { verifyVault } from '../../../functions/verifier/verify-vault.ts';
import { DAMAGES, spoil } from '../../damage.ts';
import { segmentsIn } from '../../host-exporter/restore/restored-disk.ts';
import { fresh, type Lab, newLab } from '../sweeper/lab.ts';
import { checkAllEvenExpired } from '../sweeper/needed-objects.ts';

/** Segments that a point needs, out of packs that were compacted and removed. */
const MOVED = [0, 4, 8, 12, 16, 20];

interface MovedLab {
  readonly lab: Lab;
  readonly run: string;
  /** Key. */
  readonly move: string;
}

async function movedLab(): Promise<MovedLab> {
  const lab = await newLab();
  const { id } = await lab.backUp(fresh(1, 24), 8);
  const later = fresh(1, 24).map((_, i) => (i % 4 === 0 ? undefined : 2000 + i));
  const { id: run } = await lab.backUp(later, 8);
  await lab.expire(id);
  await lab.sweep();
  await lab.move();
  await lab.sweep();
  const vault = await lab.open();
  const [name = ''] = vault.journal.state().moved.values();
  // Another of its kind, to be swapped with.
  await writeMove(vault, { packs: (await readMove(vault, name)).packs.slice(0, 1) });
  return { lab, run, move: contentKey(Folder.moves, name) };
}

function verify({ store, keyring, journal }: Vault, keyed: boolean) {
  const points = keyed ? [...journal.state().points.values()] : [];
  return verifyVault({ store, keyring: keyed ? keyring : undefined, journal, points, threads: undefined });
}

/** What best effort says of a point's disk. */
async function unreadable(vault: Vault, run: string) {
  const disk = vault.journal.state().points.get(run)?.disks[0];
  const manifest = await readManifest(vault, disk?.manifest ?? '');
  const pieces = openDiskReader(vault, { bestEffort: true }).read(manifest, {
    first: 0,
    count: segmentsOf(manifest.diskSize),
  });
  return (await Array.fromAsync(pieces)).filter((piece) => piece.kind === 'unreadable');
}

describe('A move that points need', () => {
  let shared: MovedLab;
  beforeAll(async () => {
    shared = await movedLab();
  });

  test.each(DAMAGES)(
    'that is $name is found with just what hangs on it, and put back from a replica',
    async (damage) => {
      const { lab, run, move } = shared;
      const replica = openMemoryStore();
      await replica.create(move, [await lab.memory.get(move)]);
      await spoil(lab.memory, move, damage);
      const { findings } = await verify(await lab.open(), true);
      expect(findings.map(({ object }) => object)).toEqual([move]);
      expect(findings[0]?.affects.every(({ point }) => point === run)).toBe(true);
      expect(segmentsIn(findings[0]?.affects ?? [])).toEqual(MOVED);
      const lost = await unreadable(await lab.open(), run);
      expect(new Set(lost.map(({ object }) => object))).toEqual(new Set([move]));
      expect(segmentsIn(lost)).toEqual(MOVED);
      const [outcome] = await repairObjects(lab.memory, replica, [move], false);
      expect(outcome).toEqual({ key: move, outcome: 'repaired' });
      expect((await verify(await lab.open(), true)).findings).toEqual([]);
    },
  );

  test.each(DAMAGES.filter(({ name }) => name !== 'missing'))(
    'that is $name is found without a key',
    async (damage) => {
      const { lab, move } = shared;
      const heal = await spoil(lab.memory, move, damage);
      const { findings } = await verify(await lab.open(), false);
      await heal();
      expect(findings).toMatchObject([{ object: move, problem: 'damaged', affects: [] }]);
    },
  );

  test.each(DAMAGES)('that is $name makes no sweep and no move touch what it leads to', async (damage) => {
    const { lab, move } = shared;
    const heal = await spoil(lab.memory, move, damage);
    const [swept, moved] = [await lab.sweep({ dryRun: true }), await lab.move()];
    expect([moved.problems.length > 0, moved.moved.packs]).toEqual([true, 0]);
    expect([swept.removed.packs.objects, swept.removed.pages.objects]).toEqual([0, 0]);
    await heal();
    expect(await checkAllEvenExpired(lab)).toBe(1);
  });
});
