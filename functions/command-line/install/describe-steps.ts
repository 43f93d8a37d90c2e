import type { Step } from './install.ts';

const WORDS: Readonly<Record<Step['state'], string>> = {
  made: 'made',
  updated: 'updated',
  current: 'is there, and as it should be',
  missing: 'is missing',
  differs: 'differs: of another release, or for another catalog',
  removed: 'of another release, removed',
  'left-over': 'of another release; ekko install removes it',
  'in-use': 'of another release; stays, as something uses it or it is not yours',
};

/** A line each. */
export function describeSteps(steps: readonly Step[]): string[] {
  const width = Math.max(0, ...steps.map(({ kind, name }) => kind.length + name.length));
  return steps.map(({ kind, name, state }) => `${`${kind} ${name}`.padEnd(width + 3)}${WORDS[state]}`);
}
