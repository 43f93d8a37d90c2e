import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { MUTANTS } from './mutants.ts';
import { PROOFS } from './proofs.ts';

test('whatever the order of the steps every point restores and nothing is left for ever, and planted mistakes are found', async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'prove.ts')], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [lines, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  expect({ code, wrong: lines.match(/^(WRONG|MISSED).*/gm), errors }).toEqual({ code: 0, wrong: null, errors: '' });
  expect(lines.match(/^holds/gm)).toHaveLength(PROOFS.filter(({ slow = false }) => !slow).length);
  expect(lines.match(/^found/gm)).toHaveLength(MUTANTS.length);
}, 600_000);
