import { expect, test } from 'vitest';
import { endpointOf } from '../../../../functions/command-line/cloud/endpoints.ts';

const endpoint = (url: unknown, kind = 'public', region = 'one') => ({ url, interface: kind, region_id: region });
const CATALOGUE = [
  { type: 'workflowv2', endpoints: [endpoint('https://a/v2/', 'internal'), endpoint('https://b/v2/')] },
  { type: 'compute', endpoints: [endpoint('https://c', 'public', 'two'), endpoint('https://user:x@d')] },
  { type: 'image', endpoints: 'nonsense' },
  null,
];
const anywhere = { region: undefined, interface: undefined };

test('the public endpoint of the first type that is there is taken, without a last slash', () => {
  expect(endpointOf(CATALOGUE, ['workflow', 'workflowv2'], anywhere)).toBe('https://b/v2');
  expect(endpointOf(CATALOGUE, ['workflowv2'], { ...anywhere, interface: 'internal' })).toBe('https://a/v2');
});

test('an endpoint of another region is none, and neither is one that holds credentials', () => {
  expect(endpointOf(CATALOGUE, ['compute'], { ...anywhere, region: 'two' })).toBe('https://c');
  expect(endpointOf(CATALOGUE, ['compute'], { ...anywhere, region: 'one' })).toBeUndefined();
});

test.each([[undefined], ['text'], [[]], [CATALOGUE]])('nothing is found in %j that is not there', (catalogue) => {
  expect(endpointOf(catalogue, ['image', 'volumev3'], anywhere)).toBeUndefined();
});
