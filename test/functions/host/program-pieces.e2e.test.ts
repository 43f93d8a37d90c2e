import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { distFolder } from '../../../functions/host/bundles.ts';

/** `file` of dist/ and what it imports at once, directly or not. */
function parsedWith(file: string, seen = new Set<string>()): ReadonlySet<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = readFileSync(join(distFolder(), file), 'utf8');
  for (const [, next = ''] of text.matchAll(/^(?:import|\} from|export) ?[^;]*?"\.\/([^"]+\.mjs)";/gm))
    parsedWith(next, seen);
  return seen;
}

const sizeOf = (files: Iterable<string>) =>
  [...files].reduce((sum, file) => sum + statSync(join(distFolder(), file)).size, 0);

test('what every start of the program parses is a small part of it', () => {
  const pieces = readdirSync(distFolder()).filter((file) => /^ekko(?:-.+)?\.mjs$/.test(file));
  const parsed = parsedWith('ekko.mjs');
  expect(parsed.size).toBeGreaterThan(1);
  expect(sizeOf(parsed)).toBeLessThan(sizeOf(pieces) / 5);
});

test('a function is one file, to be carried where it is called', () => {
  expect([...parsedWith('segment-processor.mjs')]).toEqual(['segment-processor.mjs']);
});
