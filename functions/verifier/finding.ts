import type { Problem } from './problem.ts';
import type { AffectedDisk, Finding } from './report.ts';

/** What is told of a problem. `keyed`: the vault's key was there, so that what hangs on the object is known. */
export function findingOf(
  key: string,
  { code, message }: Problem,
  affects: readonly AffectedDisk[],
  keyed: boolean,
): Finding {
  return { object: key, problem: code, message, affects, advice: adviceFor(key, affects, keyed) };
}

function adviceFor(key: string, affects: readonly AffectedDisk[], keyed: boolean): string {
  if (!keyed) return `Put ${key} back from a copy of the vault; verify with the key to learn which points need it.`;
  if (affects.length === 0) return 'No restore point needs it: nothing is lost.';
  const points = [...new Set(affects.map(({ point }) => point))].join(', ');
  return (
    `Repair the vault from a replica, a copy, or the disk. Where there is none, restore ${points} with best effort, ` +
    'which lists what is lost, and back up anew without a base.'
  );
}
