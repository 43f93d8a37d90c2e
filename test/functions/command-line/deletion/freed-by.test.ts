import fc from 'fast-check';
import { expect, test } from 'vitest';
import { packName } from '#vault/format/pack.ts';
import type { CommittedPoint } from '#vault/journal/state.ts';
import { readManifest, readPage } from '#vault/records.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import { freedBy } from '../../../../functions/command-line/deletion/freed-by.ts';
import { newTestVault, type TestVault } from '../../../vault-builder.ts';
import { NOON, pointAt } from '../../retention/histories.ts';

const LAYOUT = { segmentsPerFrame: () => 1, segmentsPerPack: () => 2, dedupe: true };
const SIZE = 8 * SEGMENT_SIZE;

/** A point of which each disk holds these contents, one a segment. */
async function writePoint(vault: TestVault, n: number, disks: readonly (readonly number[])[]): Promise<CommittedPoint> {
  const written = new Map<string, { manifest: string; size: number }>();
  for (const [i, contents] of disks.entries()) {
    const segments = contents.map((content, start) => ({ start, bytes: Buffer.alloc(SEGMENT_SIZE, `${content} `) }));
    written.set(`vd${i}`, { manifest: await vault.writeDisk({ size: SIZE, segments }, LAYOUT), size: SIZE });
  }
  const { name } = await vault.writePoint(written);
  const committed = [...written].map(([disk, { manifest, size }]) => ({ name: disk, size, manifest }));
  return pointAt(n, NOON + n, { point: name, disks: committed });
}

/** Keys of all that points need, by following everything. */
async function keysOf(vault: TestVault, points: readonly CommittedPoint[]): Promise<Set<string>> {
  const keys = new Set<string>();
  for (const { point, disks } of points) {
    keys.add(contentKey(Folder.points, point));
    for (const { manifest } of disks) {
      keys.add(contentKey(Folder.manifests, manifest));
      for (const page of (await readManifest(vault, manifest)).pages) {
        if (page === undefined) continue;
        keys.add(contentKey(Folder.pages, page));
        for (const { pack } of await readPage(vault, page)) {
          if (pack !== undefined) keys.add(contentKey(Folder.packs, packName(pack)));
        }
      }
    }
  }
  return keys;
}

const contents = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 8 });
const shapes = fc.array(fc.array(contents, { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 5 });

test('what is said to be freed is what no other point can reach', async () => {
  await fc.assert(
    fc.asyncProperty(shapes, fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }), async (disks, choice) => {
      const store = openMemoryStore();
      const vault = newTestVault(store);
      const points: CommittedPoint[] = [];
      for (const [n, shape] of disks.entries()) points.push(await writePoint(vault, n, shape));
      const chosen = points.filter((_, n) => choice[n]);
      const others = await keysOf(
        vault,
        points.filter((_, n) => !choice[n]),
      );
      let [objects, bytes] = [0, 0];
      for (const key of await keysOf(vault, chosen)) {
        if (others.has(key)) continue;
        objects++;
        bytes += (await store.get(key)).length;
      }
      const state = { points: new Map(points.map((point) => [point.run, point])), moved: new Map() };
      expect(
        await freedBy(
          vault,
          state,
          chosen.map(({ run }) => run),
        ),
      ).toEqual({ objects, bytes });
    }),
    { numRuns: 25 },
  );
});

test('nothing is said where a record cannot be read', async () => {
  const store = openMemoryStore();
  const vault = newTestVault(store);
  const point = await writePoint(vault, 0, [[1, 2, 3]]);
  await store.remove([contentKey(Folder.manifests, point.disks[0]?.manifest ?? '')]);
  expect(
    await freedBy(vault, { points: new Map([[point.run, point]]), moved: new Map() }, [point.run]),
  ).toBeUndefined();
});
