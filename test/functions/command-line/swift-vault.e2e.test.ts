import { randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { usePostgres } from '../../cloud/postgres.ts';
import { newDatabase } from '../../cloud/sql-server.ts';
import { useSwift } from '../../cloud/swift.ts';
import { lacks } from '../../setup/cache.ts';
import { type Desk, openDesk } from './ekko.ts';
import { range, writeImage } from './test-image.ts';

const MIB = 1024 ** 2;

describe.skipIf(lacks('swift', 'postgres'))('a vault in Swift', () => {
  const vault = `swift://ekko-${randomBytes(6).toString('hex')}/web`;
  let desk: Desk;
  const withSql = (...args: string[]) => desk.run([...args, '--journal-file', 'journal']);

  beforeAll(async () => {
    const [{ keystone }, server] = await Promise.all([useSwift(), usePostgres()]);
    desk = await openDesk({
      OS_AUTH_TYPE: 'v3applicationcredential',
      OS_AUTH_URL: keystone.authUrl,
      OS_APPLICATION_CREDENTIAL_ID: keystone.applicationCredential.id,
      OS_APPLICATION_CREDENTIAL_SECRET: keystone.applicationCredential.secret,
    });
    await writeFile(desk.path('journal'), `${await newDatabase(server)}\n`, { mode: 0o600 });
    await writeImage(desk.path('disk.img'), { size: 32 * MIB, segments: range(0, 400) });
  });
  afterAll(() => desk.remove());

  test('is refused without a SQL journal: two writers can get one name there', async () => {
    const { code, errors } = await desk.run(['init', vault, '--no-escrow']);
    expect({ code, errors }).toEqual({ code: 1, errors: expect.stringContaining('--journal-file') });
  });

  test('is made with one, backed up into twice, verified, swept and restored', async () => {
    expect(await withSql('init', vault, '--no-escrow')).toMatchObject({ code: 0, errors: '' });
    const first = await withSql('backup', vault, 'disk.img', '--json');
    expect(JSON.parse(first.output).point.disks[0].newBytes).toBe(400 * 65_536);
    const second = await withSql('backup', vault, 'disk.img', '--json');
    expect(JSON.parse(second.output).point.disks[0].newBytes).toBe(0);
    expect((await withSql('verify', vault)).code).toBe(0);
    expect((await withSql('sweep', vault, '--grace', '0h')).code).toBe(0);
    expect((await withSql('restore', vault, 'latest/disk', 'back.img')).code).toBe(0);
    expect((await readFile(desk.path('back.img'))).equals(await readFile(desk.path('disk.img')))).toBe(true);
  });

  test('is restored with nothing but the vault and its key, when the database is gone', async () => {
    await rm(desk.path('journal'));
    await rm(desk.path('back.img'));
    const { code, errors } = await desk.run(['restore', vault, 'latest/disk', 'back.img']);
    expect({ code, errors }).toEqual({ code: 0, errors: expect.stringContaining('copy in the vault') });
    expect((await readFile(desk.path('back.img'))).equals(await readFile(desk.path('disk.img')))).toBe(true);
  });
});
