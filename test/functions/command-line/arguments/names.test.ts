import { describe, expect, test } from 'vitest';
import { checkName } from '../../../../functions/command-line/arguments/check-name.ts';
import { readDiskArgument } from '../../../../functions/command-line/arguments/read-disk.ts';

describe('a name', () => {
  test.each(['root', 'vda', 'Daten 2', 'größe', 'a'.repeat(255), '7c1e9a-..-x', '.hidden'])('%j is good', (name) => {
    expect(checkName(name, 'The disk name')).toBe(name);
  });

  test.each([
    ['', 'it is empty'],
    ['  ', 'it is empty'],
    ['..', 'it means a folder'],
    ['../../etc/passwd', 'it holds a "/"'],
    ['a\nb', 'it holds a control character'],
    ['a\u001b[2J', 'it holds a control character'],
    ['\ud800', 'it holds a control character'],
    ['x'.repeat(10_000), 'it has 10000 bytes'],
    ['ö'.repeat(128), 'it has 256 bytes'],
  ])('%j is refused', (name, why) => {
    const refusal = (() => {
      try {
        return checkName(name, 'The disk name');
      } catch (error) {
        return String(error);
      }
    })();
    expect(refusal).toContain(why);
    expect(refusal.length).toBeLessThan(250);
    expect(refusal).not.toMatch(/\p{Cc}/u);
  });
});

describe('a disk on the command line', () => {
  test.each([
    ['disk.img', 'disk.img', undefined],
    ['root=disk.img', 'disk.img', 'root'],
    ['/images/a=b.img', '/images/a=b.img', undefined],
    ['./a=b.img', './a=b.img', undefined],
    ['root=/images/a=b.img', '/images/a=b.img', 'root'],
  ])('%s is %s called %s', (text, place, name) => expect(readDiskArgument(text)).toEqual({ place, name }));

  test.each(['', '=disk.img', 'root=', '..=disk.img', 'a\nb=disk.img', 'disk\u0000.img', `${'x'.repeat(10_000)}=a`])(
    '%j is refused',
    (text) => expect(() => readDiskArgument(text)).toThrow('cannot be used'),
  );
});
