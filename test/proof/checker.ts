import type { Extent } from '#vault/format/extents.ts';
import type { Manifest } from '#vault/format/manifest.ts';
import type { Move } from '#vault/format/move.ts';
import { openFrame, openPackIndex, packName } from '#vault/format/pack.ts';
import type { CommittedPoint, VaultState } from '#vault/journal/state.ts';
import { readManifest, readMove, readPage, type VaultReader } from '#vault/records.ts';
import { contentKey, Folder } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import type { Vault } from '#vault/vault.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';
import type { Place } from './scheduler.ts';
import { openSteppingJournal, openSteppingStore, perform, type Step } from './stepping-store.ts';
import type { Version } from './versions.ts';
import { type Contents, contentNumberOf } from './world.ts';

/** Knows all: looks at a version of the store from outside, with nothing in between that could hide a mistake. */
export interface Checker {
  /** What the journal says there. Throws what is wrong with it. */
  stateOf(version: Version): Promise<VaultState>;
  /**
   * Undefined when the journal can be read, and every point of it, expired ones included, has every object that it needs, none of
   * them condemned, and maps its disk exactly. Else what is wrong.
   */
  problemIn(version: Version): Promise<string | undefined>;
  /** Keys of everything that the points of a version need, and of what else may stay. */
  needed(version: Version): Promise<ReadonlySet<string>>;
}

export function newChecker(place: Place, truths: ReadonlyMap<string, Contents>): Checker {
  const states = new Map<number, Promise<VaultState>>();
  const decoded = new Map<string, Promise<unknown>>();

  /** A journal is known by its last entry, which holds the digest of the one before. */
  const stateOf = (version: Version): Promise<VaultState> => {
    const head = version.get(version.keys(Folder.journal, '').at(-1) ?? '')?.number ?? -1;
    const state = states.get(head) ?? openVersion(place, version).then(({ journal }) => journal.state());
    states.set(head, state);
    return state;
  };
  /** What an object says; content-named ones never say anything else. */
  const decode = async <T>(version: Version, key: string, read: (reader: VaultReader) => Promise<T>): Promise<T> => {
    if (version.get(key) === undefined) throw new Error(`${key} is missing`);
    const known = decoded.get(key) ?? read({ store: storeAt(place, version), keyring: place.keyring });
    decoded.set(key, known);
    return known as Promise<T>;
  };

  /** Throws what is wrong; adds to `needed` what the point needs. */
  async function checkPoint(
    version: Version,
    state: VaultState,
    point: CommittedPoint,
    needed: Set<string>,
  ): Promise<void> {
    const need = (folder: Parameters<typeof contentKey>[0], name: string): string => {
      const key = contentKey(folder, name);
      if (version.get(key) === undefined) throw new Error(`${key} is missing`);
      if (state.condemned.has(name)) throw new Error(`${key} has been condemned`);
      needed.add(key);
      return key;
    };
    const segmentAt = async (pack: string, number: number): Promise<number> => {
      const move = state.moved.get(packName(pack));
      const { packs } =
        move === undefined
          ? { packs: [] }
          : await decode<Move>(version, contentKey(Folder.moves, move), (reader) => readMove(reader, move));
      const runs = packs.find((moved) => moved.pack === pack)?.runs ?? [];
      const run = runs.find(({ first, count }) => number >= first && number < first + count);
      if (run !== undefined && move !== undefined) {
        need(Folder.moves, move);
        return segmentAt(run.target, run.targetFirst + number - run.first);
      }
      const key = need(Folder.packs, packName(pack));
      return (await decode(version, key, (reader) => readPack(reader, key)))[number] ?? -1;
    };

    need(Folder.points, point.point);
    for (const disk of point.disks) {
      const manifestKey = need(Folder.manifests, disk.manifest);
      const { pages } = await decode<Manifest>(version, manifestKey, (reader) => readManifest(reader, disk.manifest));
      const page = pages[0];
      const extents =
        page === undefined
          ? []
          : await decode<Extent[]>(version, need(Folder.pages, page), (reader) => readPage(reader, page));
      for (const [i, truth] of (truths.get(point.run) ?? []).entries()) {
        const extent = extents.find(({ start, count }) => i >= start && i < start + count);
        const found = extent?.pack === undefined ? 0 : await segmentAt(extent.pack, extent.first + i - extent.start);
        if (found !== truth) throw new Error(`segment ${i} has content ${found}, not ${truth}`);
      }
    }
  }

  async function needed(version: Version): Promise<ReadonlySet<string>> {
    const state = await stateOf(version);
    const keys = new Set<string>();
    for (const point of [...state.points.values(), ...state.expired.values()]) {
      await checkPoint(version, state, point, keys).catch((error: Error) => {
        throw new Error(`Point ${point.run} is broken: ${error.message}.`);
      });
    }
    return keys;
  }

  return {
    stateOf,
    needed,
    problemIn: (version) =>
      needed(version).then(
        () => undefined,
        (error: Error) => error.message,
      ),
  };
}

function storeAt({ versions }: Place, version: Version): ObjectStore {
  return openSteppingStore(async (step) => perform(version, step).answer, versions.contentOf);
}

/** Opens the vault at a version, for reading. */
function openVersion(place: Place, version: Version): Promise<Vault> {
  const ask = async (step: Step) => perform(version, step).answer;
  const { contentOf } = place.versions;
  return place.open(openSteppingStore(ask, contentOf), openSteppingJournal(ask, contentOf));
}

/** The content numbers of a pack's segments. */
async function readPack({ store, keyring }: VaultReader, key: string): Promise<number[]> {
  const bytes = await store.get(key);
  const index = openPackIndex(keyring, bytes, key);
  return index.frames.flatMap((entry) => {
    const plain = openFrame(index, entry, Buffer.from(bytes.subarray(entry.offset, entry.offset + entry.length)), key);
    return Array.from({ length: entry.segments }, (_, i) =>
      contentNumberOf(plain.subarray(i * SEGMENT_SIZE, (i + 1) * SEGMENT_SIZE)),
    );
  });
}
