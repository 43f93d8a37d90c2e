import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chooseShards, shardOf } from '../../../functions/verifier/choose-shards.ts';

const AT = '2026-11-20T19:15:03.000Z';
const never = { verified: new Map() };

test('what was never looked at comes first, then what was looked at longest ago', () => {
  const verified = new Map(
    Array.from({ length: 256 }, (_, shard) => [shard, { at: AT, keyed: true, position: 1000 - shard }] as const),
  );
  verified.delete(7);
  expect(chooseShards({ verified }, 100 / 256, true)).toEqual([7]);
  expect(chooseShards({ verified }, 300 / 256, true)).toEqual([7, 254, 255]);
});

test('a look without the key does not count for one with it', () => {
  const verified = new Map(
    Array.from({ length: 256 }, (_, shard) => [shard, { at: AT, keyed: shard !== 9, position: 5 }] as const),
  );
  expect(chooseShards({ verified }, 0.1, true)).toEqual([9]);
  expect(chooseShards({ verified }, 0.1, false)).toEqual([0]);
});

test('a share taken again and again gets round to everything, and to nothing twice before', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 100, noNaN: true }), (percent) => {
      const verified = new Map();
      let position = 0;
      for (let seen = 0; seen < 256; position++) {
        const shards = chooseShards({ verified }, percent, true);
        const fresh = shards.filter((shard) => !verified.has(shard)).length;
        expect(fresh).toBe(Math.min(shards.length, 256 - seen));
        for (const shard of shards) verified.set(shard, { at: AT, keyed: true, position: position + 1 });
        seen += fresh;
      }
    }),
  );
});

test.each([0, -1, 101, Number.NaN])('%s %% is refused', (percent) => {
  expect(() => chooseShards(never, percent, true)).toThrow(expect.objectContaining({ code: 'bad-input' }));
});

test('the shard of a name is its first byte', () => {
  expect([shardOf('00ff'), shardOf('ff00'), shardOf('7c12')]).toEqual([0, 255, 124]);
});
