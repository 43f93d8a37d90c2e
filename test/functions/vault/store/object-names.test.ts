import { expect, test } from 'vitest';
import { diskFolder, Folder, placeOf, receiptKey, stagingKey } from '#vault/store/object-names.ts';

const PLACE = { run: '20261120-191503-7c1e9a', disk: 12, part: 34 };
const SUMMARY = { ...PLACE, part: 'summary' as const };

test('the key of a part tells its place, and begins with the folder of its disk', () => {
  for (const place of [PLACE, SUMMARY]) {
    expect(placeOf(stagingKey(place))).toEqual(place);
    expect(placeOf(receiptKey(place), Folder.receipts)).toEqual(place);
  }
  expect(stagingKey(PLACE)).toBe('staging/20261120-191503-7c1e9a/0012/00000034');
  expect(diskFolder(Folder.staging, PLACE.run, 12)).toBe('staging/20261120-191503-7c1e9a/0012/');
  expect(receiptKey(SUMMARY)).toBe(`${diskFolder(Folder.receipts, PLACE.run, 12)}summary`);
});

test('a receipt is never taken for a staged part, which is removed when it has been processed, nor the other way', () => {
  expect(() => placeOf(receiptKey(PLACE))).toThrow('is not the key of a staged part');
  expect(() => placeOf(stagingKey(PLACE), Folder.receipts)).toThrow('is not the key of a receipt');
});

test.each(['../x', '20261120-191503-7c1e9a/'])('the folder of the run %j is refused', (run) => {
  expect(() => diskFolder(Folder.receipts, run, 0)).toThrow('is not the id of a run');
});
