import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { MovedPack, MovedRun } from '#vault/format/move.ts';
import { openRedirects } from '#vault/moves/redirects.ts';
import { writeMove } from '#vault/records.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import { newTestVault } from '../../../vault-builder.ts';

const SIZE = 12;
const pack = (number: number) => number.toString(16).padStart(2, '0').repeat(48);
const nameOf = (number: number) => pack(number).slice(0, 64);

/** Each round empties one pack into later ones; segments that are left out stay. */
const rounds = fc.array(
  fc.record({ from: fc.nat(5), kept: fc.array(fc.boolean(), { minLength: SIZE, maxLength: SIZE }), into: fc.nat(4) }),
  { maxLength: 6 },
);

test('a run is led to where each of its segments went, through all moves, and what no move lists stays', async () => {
  await fc.assert(
    fc.asyncProperty(
      rounds,
      fc.nat(5),
      fc.nat(SIZE - 1),
      fc.integer({ min: 1, max: SIZE }),
      async (steps, start, first, count) => {
        const vault = newTestVault(openMemoryStore());
        const moved = new Map<string, string>();
        const where = new Map<string, string>();
        for (const { from, kept, into } of steps) {
          if (moved.has(nameOf(from))) continue;
          const target = from + 1 + into;
          const runs: MovedRun[] = kept.flatMap((keep, segment) =>
            keep ? [] : [{ first: segment, count: 1, target: pack(target), targetFirst: (segment + into) % SIZE }],
          );
          for (const run of runs) where.set(`${from} ${run.first}`, `${target} ${run.targetFirst}`);
          const packs: MovedPack[] = [{ pack: pack(from), runs }];
          moved.set(nameOf(from), await writeMove(vault, { packs }));
        }
        const redirects = openRedirects(vault, () => moved);
        const wanted = Math.min(count, SIZE - first);
        const found = await redirects.resolve({ pack: pack(start), first, count: wanted });
        const flat = found.flatMap((run) =>
          Array.from({ length: run.count }, (_, i) => `${Number.parseInt(run.pack.slice(0, 2), 16)} ${run.first + i}`),
        );
        const expected = Array.from({ length: wanted }, (_, i) => {
          let at = `${start} ${first + i}`;
          for (let next = where.get(at); next !== undefined; next = where.get(at)) at = next;
          return at;
        });
        expect(flat).toEqual(expected);
      },
    ),
    { numRuns: 200 },
  );
});

test('a page that means another pack of the same name is not led anywhere', async () => {
  const vault = newTestVault(openMemoryStore());
  const runs = [{ first: 0, count: 4, target: pack(9), targetFirst: 0 }];
  const move = await writeMove(vault, { packs: [{ pack: pack(1), runs }] });
  const redirects = openRedirects(vault, () => new Map([[nameOf(1), move]]));
  const liar = { pack: nameOf(1) + 'ff'.repeat(16), first: 0, count: 4 };
  expect(await redirects.resolve(liar)).toEqual([liar]);
});

test('a move that is missing is an error that names it, and is asked for again the next time', async () => {
  const vault = newTestVault(openMemoryStore());
  const name = 'd4'.repeat(32);
  const redirects = openRedirects(vault, () => new Map([[nameOf(1), name]]));
  const trail: { moves: Set<string>; failed?: string } = { moves: new Set() };
  for (let i = 0; i < 2; i++) {
    await expect(redirects.resolve({ pack: pack(1), first: 0, count: 1 }, trail)).rejects.toMatchObject({
      code: 'object-missing',
      message: expect.stringContaining(name),
    });
    expect(trail.failed).toBe(name);
  }
});
