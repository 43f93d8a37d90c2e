import { createSecretKey } from 'node:crypto';
import { expect, test } from 'vitest';
import { decodeHeader, encodeHeader, newStagedPart, RunKind, sealedDataSize } from '#vault/format/staged-part.ts';
import { SEGMENT_SIZE } from '#vault/words.ts';

const AGREED = { key: createSecretKey(Buffer.alloc(32, 1)), enc: Buffer.alloc(32, 2) };

/** Two segments, sealed into what lies ahead of other bytes. */
function write(size: number): Buffer {
  const whole = Buffer.alloc(size + 64);
  const part = newStagedPart(1, AGREED, whole.subarray(0, size));
  part.addData(Buffer.alloc(2 * SEGMENT_SIZE, 3));
  part.finish({ diskSize: 2 * SEGMENT_SIZE, lineage: undefined, runs: [{ first: 0, count: 2, kind: 0 }] });
  return whole;
}

test('a part fills its memory up to the last byte, and none behind it', () => {
  const size = sealedDataSize(2);
  expect(write(size).subarray(size)).toEqual(Buffer.alloc(64));
});

test.each([1, 16, 17, SEGMENT_SIZE])(
  'a part that is larger by %i bytes than its memory is never cut short',
  (bytes) => {
    expect(() => write(sealedDataSize(2) - bytes)).toThrow(RangeError);
  },
);

test('a header with known data has the bytes that the format says', () => {
  const runs = [
    { first: 1, count: 2, kind: RunKind.known },
    { first: 5, count: 1, kind: RunKind.data },
  ];
  const known = {
    packs: ['ab'.repeat(32) + 'cd'.repeat(16)],
    ids: Buffer.from('11'.repeat(32) + '22'.repeat(32), 'hex'),
  };
  const header = { diskSize: 8 * SEGMENT_SIZE, lineage: 'ef'.repeat(32), runs, known };
  const [size, name, count] = ['0000080000000000', 'ef'.repeat(32), '02000000'];
  const listed = ['01000000', '02000000', '03', '05000000', '01000000', '00'];
  const told = ['01', 'ab'.repeat(32), 'cd'.repeat(16), '11'.repeat(32), '22'.repeat(32)];
  expect(encodeHeader(header).toString('hex')).toBe([size, name, count, ...listed, ...told].join(''));
  expect(decodeHeader(encodeHeader(header), 'It')).toEqual(header);
});
