import fc from 'fast-check';
import { expect, test } from 'vitest';
import { packName } from '#vault/format/pack.ts';
import type { CommittedPoint } from '#vault/journal/state.ts';
import { readManifest, readPage, writeManifest } from '#vault/records.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import { PAGE_SPAN, SEGMENT_SIZE } from '#vault/words.ts';
import { freedBy } from '../../../../functions/command-line/deletion/freed-by.ts';
import { newTestVault, type TestVault } from '../../../vault-builder.ts';
import { NOON, pointAt } from '../../retention/histories.ts';

const LAYOUT = { segmentsPerFrame: () => 1, segmentsPerPack: () => 2, dedupe: true };

interface Pool {
  /** Names of pages that disks are made of. */
  readonly pages: readonly string[];
  /** By the pages' numbers: what is the same has one manifest, as in real commits. */
  readonly manifests: Map<string, string>;
}

async function newPool(vault: TestVault, contents: readonly (readonly number[])[]): Promise<Pool> {
  const pages: string[] = [];
  for (const page of contents) {
    const segments = page.map((content, start) => ({ start, bytes: Buffer.alloc(SEGMENT_SIZE, `${content} `) }));
    const { pages: written } = await readManifest(vault, await vault.writeDisk({ size: PAGE_SPAN, segments }, LAYOUT));
    pages.push(written[0] ?? '');
  }
  return { pages, manifests: new Map() };
}

/** A point of which each disk consists of these pages of the pool. */
async function writePoint(vault: TestVault, pool: Pool, n: number, disks: readonly (readonly number[])[]) {
  const written = new Map<string, { manifest: string; size: number }>();
  for (const [i, numbers] of disks.entries()) {
    const pages = numbers.map((number) => pool.pages[number % pool.pages.length] || undefined);
    const size = pages.length * PAGE_SPAN;
    const manifest = pool.manifests.get(pages.join()) ?? (await writeManifest(vault, { diskSize: size, pages }));
    pool.manifests.set(pages.join(), manifest);
    written.set(`vd${i}`, { manifest, size });
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

const contents = fc.array(fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 6 }), { minLength: 1, maxLength: 6 });
const disk = fc.array(fc.nat(5), { minLength: 1, maxLength: 3 });
const shapes = fc.array(fc.array(disk, { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 5 });
const choices = fc.array(fc.boolean(), { minLength: 5, maxLength: 5 });

test('what is said to be freed is what no other point can reach', async () => {
  await fc.assert(
    fc.asyncProperty(contents, shapes, choices, async (pages, disks, choice) => {
      const store = openMemoryStore();
      const vault = newTestVault(store);
      const points: CommittedPoint[] = [];
      const pool = await newPool(vault, pages);
      for (const [n, shape] of disks.entries()) points.push(await writePoint(vault, pool, n, shape));
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
  const point = await writePoint(vault, await newPool(vault, [[1, 2, 3]]), 0, [[0]]);
  await store.remove([contentKey(Folder.manifests, point.disks[0]?.manifest ?? '')]);
  expect(
    await freedBy(vault, { points: new Map([[point.run, point]]), moved: new Map() }, [point.run]),
  ).toBeUndefined();
});
