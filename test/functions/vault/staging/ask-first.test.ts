import { createSecretKey, hash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { segmentId } from '#vault/dedupe/segment-id.ts';
import { type AskedStep, askFirst, type VaultQuestion } from '#vault/staging/ask-first.ts';
import type { ReadStep } from '#vault/staging/read-ahead.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';

const idKey = createSecretKey(Buffer.alloc(32, 7));
const PACK = 'ab'.repeat(48);

/** A run of segments by their contents, of which 0 is zero. */
interface Planned {
  readonly kind: ReadStep['kind'];
  readonly contents: readonly number[];
}

function bytesOf(contents: readonly number[]): Buffer {
  return Buffer.concat(contents.map((content) => Buffer.alloc(SEGMENT_SIZE, content)));
}

/** As `readAhead` gives them: the bytes of one are gone when the next is asked for. */
async function* stepsOf(plan: readonly Planned[], gap = 0): AsyncGenerator<ReadStep> {
  let first = 0;
  for (const { kind, contents } of plan) {
    const run = { first, count: contents.length };
    first += contents.length + gap;
    if (kind === 'zero') {
      yield { kind, run };
      continue;
    }
    const bytes = bytesOf(contents);
    yield { kind, run, bytes };
    bytes.fill(0xee);
  }
}

/** What comes out, with a digest of its bytes, made while they are valid. */
async function collect(steps: AsyncIterable<AskedStep>) {
  const collected: (Omit<AskedStep, 'bytes'> & { digest?: string })[] = [];
  for await (const step of steps) {
    if (step.kind === 'zero') {
      collected.push(step);
      continue;
    }
    const { bytes, ...rest } = step;
    collected.push({ ...rest, digest: hash('sha256', bytes) });
  }
  return collected;
}

const withoutKnown = ({ known: _, ...step }: Awaited<ReturnType<typeof collect>>[number]) => step;
const idOf = (content: number) => segmentId({ idKey }, Buffer.alloc(SEGMENT_SIZE, content));

test('steps come out as they went in, with what the answers say of their data, however they are asked about', async () => {
  const planned = fc.record({
    kind: fc.constantFrom<ReadStep['kind']>('data', 'data', 'zero', 'audit'),
    contents: fc.array(fc.nat(9), { minLength: 1, maxLength: 32, size: 'max' }),
  });
  const plans = fc.array(planned, { maxLength: 24 });
  await fc.assert(
    fc.asyncProperty(plans, fc.nat(2), fc.uniqueArray(fc.integer({ min: 1, max: 9 })), async (plan, gap, had) => {
      const known = new Set(had.map((content) => idOf(content).toString('hex')));
      const questions: VaultQuestion[] = [];
      const ask = async (question: VaultQuestion) => {
        questions.push(question);
        return question.ids.map((id) => (known.has(id.toString('hex')) ? PACK : undefined));
      };
      const given = await collect(stepsOf(plan, gap));
      const asked = await collect(askFirst(stepsOf(plan, gap), 'cd'.repeat(32), { idKey, ask }));
      expect(asked.map(withoutKnown)).toEqual(given);
      for (const [i, { kind, contents }] of plan.entries()) {
        const places = contents.flatMap((content, at) => (kind === 'data' && had.includes(content) ? [at] : []));
        expect([...(asked[i]?.known?.keys() ?? [])]).toEqual(places);
        for (const [at, { id, pack }] of asked[i]?.known ?? [])
          expect([id, pack]).toEqual([idOf(contents[at] ?? 0), PACK]);
      }
      const segments = plan.flatMap(({ kind, contents }) => (kind === 'data' ? contents.filter((c) => c !== 0) : []));
      expect(questions.flatMap(({ ids }) => ids)).toEqual(segments.map(idOf));
      for (const { runs, ids, lineage } of questions) {
        expect(runs.reduce((sum, { count }) => sum + count, 0)).toBe(ids.length);
        expect(ids.length).toBeLessThanOrEqual(256);
        expect(lineage).toBe('cd'.repeat(32));
      }
    }),
    { numRuns: 30 },
  );
});

test('an answer that does not come is no error: everything is sent, and nobody is asked again', async () => {
  const plan = Array.from({ length: 24 }, () => ({ kind: 'data' as const, contents: Array(32).fill(1) as number[] }));
  let asked = 0;
  const ask = async () => {
    asked++;
    throw new Error('nobody answers');
  };
  const steps = await collect(askFirst(stepsOf(plan), undefined, { idKey, ask }));
  expect(steps).toEqual(await collect(stepsOf(plan)));
  // The second question was under way when the first one failed.
  expect(asked).toBeLessThanOrEqual(2);
});

test('of many questions each keeps its bytes until they are taken, and names the packs of an answer before', async () => {
  const plan = Array.from({ length: 40 }, (_, i) => ({
    kind: 'data' as const,
    contents: Array(32).fill(i + 1) as number[],
  }));
  const named: (readonly string[])[] = [];
  const ask = async ({ ids, packs }: VaultQuestion) => {
    named.push(packs);
    return ids.map((_, i) => (i % 2 === 0 ? PACK : undefined));
  };
  const steps = await collect(askFirst(stepsOf(plan), undefined, { idKey, ask }));
  expect(steps.map(withoutKnown)).toEqual(await collect(stepsOf(plan)));
  expect([named[0], named.at(-1)]).toEqual([[], [PACK]]);
});

test('what cannot be read is an error, also while an answer is awaited', async () => {
  async function* broken(): AsyncGenerator<ReadStep> {
    yield* stepsOf([{ kind: 'data', contents: Array(32).fill(1) as number[] }]);
    throw new Error('the disk is gone');
  }
  const knowledge = { idKey, ask: async () => [] };
  await expect(collect(askFirst(broken(), undefined, knowledge))).rejects.toThrow('the disk is gone');
});
