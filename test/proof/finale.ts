import { abandonRun } from '#vault/runs.ts';
import { Folder, VAULT_JSON } from '#vault/store/object-names.ts';
import { sweepVault } from '../../functions/sweeper/sweep-vault.ts';
import type { Checker } from './checker.ts';
import { enter, newSurroundings } from './determinism.ts';
import type { Place } from './scheduler.ts';
import { openSteppingJournal, openSteppingStore, perform, type Step } from './stepping-store.ts';
import type { Version } from './versions.ts';
import { NOW } from './world.ts';

/**
 * What becomes of a version when everything has come to rest: runs that are still open are abandoned, left-over holds released, and the
 * vault is swept twice. Then every point must be whole, and nothing may lie there that nobody needs. Returns what is wrong.
 */
export async function judgeFinale(place: Place, checker: Checker, version: Version): Promise<string | undefined> {
  let now = version;
  const ask = async (step: Step) => {
    const done = perform(now, step);
    now = done.version;
    return done.answer;
  };
  const { contentOf } = place.versions;
  enter(newSurroundings('finale'));
  const vault = await place.open(openSteppingStore(ask, contentOf), openSteppingJournal(ask, contentOf));
  for (const run of vault.journal.state().openRuns.keys()) await abandonRun(vault, run, 'test', NOW);
  for (const hold of vault.journal.state().holds.keys()) {
    await vault.journal.append(() => ({ type: 'hold-released', hold, at: NOW.toISOString() }));
  }
  const swept = place.spoil?.sweeper?.(vault) ?? vault;
  for (let sweeps = 0; sweeps < 2; sweeps++) await sweepVault(swept, { now: NOW, graceHours: 0, allSamples: true });
  enter(undefined);
  return (await checker.problemIn(now)) ?? (await leaked(checker, now));
}

async function leaked(checker: Checker, version: Version): Promise<string | undefined> {
  const needed = await checker.needed(version);
  const { expired } = await checker.stateOf(version);
  if (expired.size > 0) return `Point ${[...expired.keys()]} has expired and was never removed.`;
  const stays = (key: string) => isOfTheVault(key) || needed.has(key) || isUsefulSample(version, key);
  const lost = version.keys('', '').filter((key) => !stays(key));
  return lost.length === 0 ? undefined : `Nobody needs ${lost.join(', ')}, and no sweep removes it.`;
}

function isOfTheVault(key: string): boolean {
  return (
    key === VAULT_JSON ||
    key.startsWith(Folder.journal) ||
    key.startsWith(Folder.states) ||
    key.startsWith(Folder.sweeps)
  );
}

/** A sample that tells of a pack that is there. */
function isUsefulSample(version: Version, key: string): boolean {
  if (!key.startsWith(Folder.samples)) return false;
  const pack = version.get(key)?.bytes.toString('latin1', 0, 64) ?? '';
  return version.get(`${Folder.packs}${pack.slice(0, 2)}/${pack}`) !== undefined;
}
