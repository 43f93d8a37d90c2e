import { packName } from '#vault/format/pack.ts';
import { openRedirects } from '#vault/moves/redirects.ts';
import { readManifest, readPage } from '#vault/records.ts';
import { CONTENT_NAMED, contentKey, Folder, nameOf } from '#vault/store/object-names.ts';
import type { Vault } from '#vault/vault.ts';
import { keysIn } from '../../damage.ts';
import type { World } from '../../model/world.ts';
import { restored } from '../../restored.ts';

/** Keys of everything that the restore points of a vault need, expired ones included, found the slow and simple way. */
export async function neededObjects(vault: Vault): Promise<Set<string>> {
  const { points, expired, moved } = await vault.journal.refresh();
  const redirects = openRedirects(vault, () => moved);
  const needed = new Set<string>();
  for (const { point, disks } of [...points.values(), ...expired.values()]) {
    needed.add(contentKey(Folder.points, point));
    for (const { manifest } of disks) {
      needed.add(contentKey(Folder.manifests, manifest));
      for (const page of (await readManifest(vault, manifest)).pages) {
        if (page === undefined) continue;
        needed.add(contentKey(Folder.pages, page));
        const moves = new Set<string>();
        for (const { pack } of await redirects.resolveAll(await readPage(vault, page), { moves }))
          if (pack !== undefined) needed.add(contentKey(Folder.packs, packName(pack)));
        for (const move of moves) needed.add(contentKey(Folder.moves, move));
      }
    }
  }
  return needed;
}

/** Names of the packs that the pages of a point's first disk name, moved or not. */
export async function packsOfPoint(vault: Vault, run: string): Promise<string[]> {
  const manifest = vault.journal.state().points.get(run)?.disks[0]?.manifest ?? '';
  const pages = (await readManifest(vault, manifest)).pages.filter((page) => page !== undefined);
  const extents = (await Promise.all(pages.map((page) => readPage(vault, page)))).flat();
  return [...new Set(extents.map(({ pack }) => packName(pack ?? '')))];
}

/** Keys of content-named objects that lie there. */
export async function storedObjects({ store }: Vault): Promise<Set<string>> {
  return new Set((await Promise.all(CONTENT_NAMED.map((folder) => keysIn(store, folder)))).flat());
}

/** What lies there and should not, or should and does not: left-overs of runs and samples of packs that are gone included. */
export async function strays(vault: Vault): Promise<string[]> {
  const [needed, stored] = [await neededObjects(vault), await storedObjects(vault)];
  const leaked = [...stored].filter((key) => !needed.has(key)).map((key) => `leaked ${key}`);
  const lost = [...needed].filter((key) => !stored.has(key)).map((key) => `lost ${key}`);
  const left = [...(await keysIn(vault.store, Folder.staging)), ...(await keysIn(vault.store, Folder.receipts))];
  return [...leaked, ...lost, ...left.map((key) => `left ${key}`), ...(await danglingSamples(vault, stored))];
}

async function danglingSamples({ store }: Vault, stored: ReadonlySet<string>): Promise<string[]> {
  const packs = new Set([...stored].filter((key) => key.startsWith(Folder.packs)).map(nameOf));
  const dangling: string[] = [];
  for (const key of await keysIn(store, Folder.samples)) {
    const pack = (await store.get(key, { start: 0, end: 64 })).toString('latin1');
    if (!packs.has(pack)) dangling.push(`sample ${key} of ${pack}`);
  }
  return dangling;
}

/** Throws unless every point of a world, expired or not, restores to what the guest's disk was at its moment. How many there are. */
export async function checkAllEvenExpired(world: World): Promise<number> {
  const vault = await world.open();
  const { points, expired } = vault.journal.state();
  const runs = [...points.keys(), ...expired.keys()];
  for (const run of runs) {
    const image = await restored(vault, run);
    if (!world.guest.moments.get(run)?.equals(image)) throw new Error(`Restore point ${run} is not what the disk was.`);
  }
  return runs.length;
}
