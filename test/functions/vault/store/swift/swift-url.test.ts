import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodePath, readSwiftUrl, swiftUrlOf } from '#vault/store/swift/swift-url.ts';

const BAD_INPUT = expect.objectContaining({ code: 'bad-input' });

test.each([
  ['swift://backups', { container: 'backups', prefix: '', region: undefined, interface: undefined }],
  ['swift://backups/', { container: 'backups', prefix: '' }],
  ['swift://backups/web', { container: 'backups', prefix: 'web/' }],
  ['swift://backups/web/a/', { container: 'backups', prefix: 'web/a/' }],
  ['SWIFT://Backups/Web', { container: 'Backups', prefix: 'Web/' }],
  ['swift://my%20b%C3%A4ck%2Dups/a%20b%23c', { container: 'my bäck-ups', prefix: 'a b#c/' }],
  [
    'swift://b?region=RegionOne&interface=internal',
    { container: 'b', prefix: '', region: 'RegionOne', interface: 'internal' },
  ],
  ['swift://b/p?interface=publicURL', { container: 'b', prefix: 'p/', interface: 'public' }],
])('%s is a place', (text, place) => {
  expect(readSwiftUrl(text)).toMatchObject(place);
});

test.each([
  'swift:',
  'swift:backups',
  'swift:///backups',
  'swift://',
  's3://backups',
  'swift://backups:8080/a',
  'swift://backups/a#b',
  'swift://backups//a',
  'swift://backups/a//b',
  'swift://backups/a%2fb',
  'swift://a%2fb',
  'swift://%2e%2e/a',
  'swift://backups/a%00b',
  'swift://backups/a%0ab',
  'swift://backups/%zz',
  'swift://backups/%ff',
  'swift://backups?regoin=a',
  'swift://backups?region=',
  'swift://backups?region=a&region=b',
  'swift://backups?interface=private',
  `swift://${'b'.repeat(257)}`,
  `swift://backups/${'p'.repeat(400)}`,
])('%s is refused', (text) => {
  expect(() => readSwiftUrl(text)).toThrow(BAD_INPUT);
});

test('credentials in a URL are refused, and not shown', () => {
  const read = () => readSwiftUrl('swift://user:hunter2@backups');
  expect(read).toThrow(/OS_\* variables/);
  expect(read).toThrow(expect.objectContaining({ message: expect.not.stringContaining('hunter2') }));
});

test('the URL of a place is read back as that place', () => {
  const part = fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }).filter((text) => isPart(text));
  const region = fc.option(fc.stringMatching(/^[ -~]{1,9}$/), { nil: undefined });
  const kind = fc.constantFrom('public', 'internal', 'admin', undefined);
  fc.assert(
    fc.property(part, fc.array(part, { maxLength: 3 }), region, kind, (container, parts, region, kind) => {
      const place = { container, prefix: parts.map((each) => `${each}/`).join(''), region, interface: kind };
      expect(readSwiftUrl(swiftUrlOf(place))).toEqual(place);
    }),
  );
});

const isPart = (text: string) => text.isWellFormed() && text !== '.' && text !== '..' && !/[\p{Cc}/]/u.test(text);

test('names are encoded but for their slashes', () => {
  expect(encodePath('a b/c?d#e%/ä')).toBe('a%20b/c%3Fd%23e%25/%C3%A4');
});
