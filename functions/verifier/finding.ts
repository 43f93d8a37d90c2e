import { type AffectedByObject, NO_COSTS } from './costs-of-object.ts';
import type { Problem } from './problem.ts';
import type { Finding } from './report.ts';

/** What is told of a problem. `affected`: undefined where nothing hangs on the object. `keyed`: the vault's key was there, so that what hangs on the object is known. */
export function findingOf(
  key: string,
  { code, message }: Problem,
  affected: AffectedByObject | undefined,
  keyed: boolean,
): Finding {
  const { affects, costs } = affected ?? { affects: [], costs: NO_COSTS };
  return { object: key, problem: code, message, affects, costs, advice: adviceFor(key, { affects, costs }, keyed) };
}

const MOST_NAMED = 10;

function adviceFor(key: string, { affects, costs }: AffectedByObject, keyed: boolean): string {
  if (!keyed) return `Put ${key} back from a copy of the vault; verify with the key to learn which points need it.`;
  if (affects.length === 0) return 'No restore point needs it: nothing is lost.';
  const named = [...new Set(affects.map(({ point }) => point))].slice(0, MOST_NAMED);
  const more = costs.points - named.length;
  const points = `${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  return (
    `Repair the vault from a replica, a copy, or the disk. Where there is none, restore ${points} with best effort, ` +
    'which lists what is lost, and back up anew without a base.'
  );
}
