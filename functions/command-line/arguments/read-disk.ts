import { checkName } from './check-name.ts';

/** A disk as asked for on the command line: `PLACE` or `NAME=PLACE`. */
export interface DiskArgument {
  /** A path, or the name of a guest's disk. */
  readonly place: string;
  /** What to call it; undefined: as its source does. */
  readonly name: string | undefined;
}

/** Reads `NAME=PLACE`. What stands before a `=` that comes after a `/` is part of a path. Throws `bad-input`. */
export function readDiskArgument(text: string): DiskArgument {
  const at = text.indexOf('=');
  if (at === -1 || text.slice(0, at).includes('/')) return { place: checkPlace(text), name: undefined };
  return { place: checkPlace(text.slice(at + 1)), name: checkName(text.slice(0, at), 'The disk name') };
}

function checkPlace(place: string): string {
  if (place.length <= 4096 && place !== '' && !/\p{Cc}/u.test(place)) return place;
  return checkName(place, 'The disk');
}
