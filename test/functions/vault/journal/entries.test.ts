import { expect, test } from 'vitest';
import { checkEntry } from '#vault/journal/check-entry.ts';
import { MOST_DISKS, MOST_NAMES, reasonFrom } from '#vault/journal/entries.ts';
import { abandoned, committed, condemned, created, EVERY_TYPE, nameFor, started } from './histories.ts';

const isOptional = (type: string, field: string) =>
  (field === 'process' && type !== 'run-taken-over') ||
  ['copyOf', 'label', 'plan'].includes(field) ||
  (field === 'group' && type === 'retention-set');
const without = (entry: object, field: string) =>
  Object.fromEntries(Object.entries(entry).filter(([key]) => key !== field));

test.each(EVERY_TYPE)('a $type entry is accepted as it is', (entry) => {
  expect(checkEntry(JSON.parse(JSON.stringify(entry)), 'It')).toEqual(entry);
});

test.each(EVERY_TYPE)('a $type entry misses each field that is left out, and refuses one too many', (entry) => {
  for (const field of Object.keys(entry).filter((key) => !isOptional(entry.type, key))) {
    expect(() => checkEntry(without(entry, field), 'It')).toThrow(expect.objectContaining({ code: 'bad-format' }));
  }
  expect(() => checkEntry({ ...entry, more: 1 }, 'It')).toThrow(/field "more" .* newer/);
});

test.each(['lost-and-found', 'toString', '__proto__'])(
  'an unknown type %s is said to come from a newer Ekko',
  (type) => {
    expect(() => checkEntry({ type, at: 'x' }, 'journal/7')).toThrow(
      expect.objectContaining({
        code: 'bad-format',
        message: expect.stringMatching(/^journal\/7 .* newer one wrote it/),
      }),
    );
  },
);

const disk = { name: 'vda', size: 1, manifest: nameFor('m') };

test.each<[string, unknown]>([
  ['nothing', undefined],
  ['null', null],
  ['a list', [created]],
  ['text', 'vault-created'],
  ['a name in capitals', { ...created, vaultJson: nameFor('x').toUpperCase() }],
  ['a time in words', { ...created, at: 'yesterday' }],
  ['a name with a newline', { ...started(1), group: 'web\nroot' }],
  ['a name of 10,000 characters', { ...started(1), host: 'a'.repeat(10_000) }],
  ['an empty name', { ...started(1), disks: [''] }],
  ['half a character', { ...started(1), group: '\ud800' }],
  ['too many disks', { ...started(1), disks: Array(MOST_DISKS + 1).fill('vda') }],
  ['a run with ..', { ...abandoned(1), run: '../../vault.json' }],
  ['a run that is a number', { ...abandoned(1), run: 1 }],
  ['a negative size', committed(1, { disks: [{ ...disk, size: -1 }] })],
  ['half a byte', committed(1, { disks: [{ ...disk, size: 0.5 }] })],
  ['a disk of an exabyte', committed(1, { disks: [{ ...disk, size: 2 ** 60 }] })],
  ['a disk with a field too many', { ...committed(1), disks: [{ ...disk, chunk: 1 }] }],
  ['a condemned key', condemned({ packs: [`packs/aa/${nameFor('x')}`] })],
  ['too many condemned names', condemned({ packs: Array(MOST_NAMES).fill(nameFor('x')), pages: [nameFor('y')] })],
])('%s is refused', (_, value) => {
  expect(() => checkEntry(value, 'It')).toThrow(expect.objectContaining({ code: 'bad-format' }));
});

test.each(['', '\n', 'a\r\nb\0', 'x'.repeat(5000), `${'x'.repeat(999)}😀`, '\udc00'])(
  'any message becomes a reason (%j)',
  (message) => {
    const entry = { ...abandoned(1), reason: reasonFrom(message) };
    expect(checkEntry(entry, 'It')).toEqual(entry);
  },
);
