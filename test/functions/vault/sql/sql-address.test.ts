import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseSqlAddress, readJournalFile } from '#vault/sql/sql-address.ts';

const parse = (text: string) => parseSqlAddress(text, 'Journal file x');

describe('a URL of a SQL journal', () => {
  test('says how to get in, and its shown form does not', () => {
    expect(parse('postgresql://ek%40ko:s%2Fe%3Acret@db.example:6543/ekko%20db?sslmode=require')).toEqual({
      ...{ kind: 'postgresql', host: 'db.example', port: 6543, database: 'ekko db', tls: 'require' },
      ...{ user: 'ek@ko', password: 's/e:cret', rootCertificates: undefined },
      url: 'postgresql://db.example:6543/ekko db',
    });
  });

  test.each([
    ['mariadb://u:p@[::1]/d', { kind: 'mariadb', host: '::1', port: 3306, tls: 'disable' }],
    ['mysql://u@127.0.0.1/d', { kind: 'mariadb', password: '', tls: 'disable' }],
    ['postgres://u:p@localhost/d', { kind: 'postgresql', port: 5432, tls: 'disable' }],
    ['postgres://u:p@localhost.example/d', { tls: 'verify-full' }],
    ['mariadb://u:p@10.0.0.1/d', { tls: 'verify-full' }],
    [
      'mariadb://u:p@db/d?sslmode=verify-full&sslrootcert=/etc/ca.pem',
      { tls: 'verify-full', rootCertificates: '/etc/ca.pem' },
    ],
    ['mariadb://u:p@db/d?sslmode=disable', { tls: 'disable' }],
  ])('%s is understood', (text, expected) => {
    expect(parse(text)).toMatchObject(expected);
  });

  test.each([
    'secret',
    'secret://u:p@h/d',
    'http://u:secret@h/d',
    'mariadb://secret@/d',
    'mariadb://h/secret',
    'mariadb://u:secret@h',
    'mariadb://u:secret@h/',
    'mariadb://u:secret@h/a/b',
    'mariadb://u:secret@h:99999/d',
    'mariadb://u:secret%zz@h/d',
    'mariadb://u:sec ret@h/secret',
    'mariadb://u:secrét@h/d',
    'mariadb://u:secret@h/d?sslmode=secret',
    'mariadb://u:secret@h/d?secret=1',
  ])('%s is refused without a word of it', (text) => {
    const refused = expect.objectContaining({ code: 'bad-format', message: expect.not.stringContaining('sec') });
    expect(() => parse(text)).toThrow(refused);
  });
});

describe('a journal file', () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ekko-journal-file-'));
    path = join(folder, 'journal');
  });
  afterEach(() => rm(folder, { recursive: true }));
  const refused = (code: string, words: RegExp) =>
    expect.objectContaining({ code, message: expect.stringMatching(new RegExp(`^(?!.*secret).*${words.source}`)) });

  test('holds one line beside comments', async () => {
    await writeFile(path, '# where the journal is\n\n  mariadb://u:secret@db/d  \n', { mode: 0o600 });
    expect(await readJournalFile(path)).toMatchObject({ kind: 'mariadb', password: 'secret' });
  });

  test.each([0o644, 0o640, 0o602, 0o610])('of mode %i, which others can use, is refused', async (mode) => {
    await writeFile(path, 'mariadb://u:secret@db/d');
    await chmod(path, mode);
    await expect(readJournalFile(path)).rejects.toEqual(refused('bad-input', /by others.*chmod 600/));
  });

  test('that is missing, empty, a folder or has two lines is refused', async () => {
    await expect(readJournalFile(path)).rejects.toEqual(refused('bad-input', /is missing.*--journal-file/));
    await expect(readJournalFile(folder)).rejects.toEqual(refused('bad-format', /is not a file/));
    await writeFile(path, '# nothing\n', { mode: 0o600 });
    await expect(readJournalFile(path)).rejects.toEqual(refused('bad-format', /holds no URL/));
    await writeFile(path, 'mariadb://u:secret@db/d\nmariadb://u:secret@db/e\n');
    await expect(readJournalFile(path)).rejects.toEqual(refused('bad-format', /2 lines/));
  });

  test.each(['postgresql://u:secret@h/d', 'MariaDB://u:secret@h/d'])('is not the URL itself: %s', async (url) => {
    await expect(readJournalFile(url)).rejects.toEqual(refused('bad-input', /Write the URL into a file/));
  });
});
