import { expect, test } from 'vitest';
import { storageUrlIn } from '#vault/store/swift/catalogue.ts';
import { catalogueOf } from './fake-cloud.ts';

const ANY = { region: undefined, interface: undefined };
const URL_A = 'https://a.example/v1/AUTH_1';
const URL_B = 'https://b.example/v1/AUTH_1';
const both = [...(catalogueOf(URL_A, 'A') as unknown[]), ...(catalogueOf(URL_B, 'B') as unknown[])];

test('the public address is taken, and another interface where it is wanted', () => {
  const service = {
    type: 'object-store',
    endpoints: [
      { interface: 'internal', region: 'A', url: `${URL_B}/` },
      { interface: 'public', region: 'A', url: URL_A },
    ],
  };
  expect(storageUrlIn([service], ANY)).toBe(URL_A);
  expect(storageUrlIn([service], { ...ANY, interface: 'internal' })).toBe(URL_B);
});

test('of several regions one has to be chosen', () => {
  expect(storageUrlIn(both, { ...ANY, region: 'B' })).toBe(URL_B);
  expect(() => storageUrlIn(both, ANY)).toThrow(/choose one of A, B by OS_REGION_NAME/);
});

test('when there is none in that region, those that there are get listed', () => {
  expect(() => storageUrlIn(both, { ...ANY, region: 'C' })).toThrow(
    /no object-store in region "C" .*A \(public\), B \(internal\)/,
  );
  expect(() => storageUrlIn(both, { region: 'A', interface: 'admin' })).toThrow(/in region "A" with a admin interface/);
});

test.each([
  undefined,
  null,
  {},
  'text',
  [],
  [null, 5, { type: 'object-store' }, { type: 'object-store', endpoints: 'x' }],
  [{ type: 'volume', endpoints: [{ interface: 'public', region: 'A', url: URL_A }] }],
  [{ type: 'object-store', endpoints: [{ interface: 'public', region: 'A', url: 'file:///etc/passwd' }] }],
  [{ type: 'object-store', endpoints: [{ interface: 'public', region: 'A', url: 'http://user:pw@a.example/' }] }],
  [{ type: 'object-store', endpoints: [{ interface: 'public', region: 'A' }] }],
])('the catalogue %j has no object store', (catalogue) => {
  expect(() => storageUrlIn(catalogue, ANY)).toThrow(
    expect.objectContaining({
      code: 'store-failed',
      message: expect.stringContaining('no object-store in the catalogue'),
    }),
  );
});
