import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EkkoError } from '#vault/errors.ts';
import { openMemoryStore } from '#vault/store/memory-store.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { discreet, openRegistryStore } from '../../../../functions/catalog/registry/registry-store.ts';
import type { CatalogSettings } from '../../../../functions/catalog/settings.ts';

describe('the registry lies', () => {
  let folder: string;
  let journalFile: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ekko-registry-'));
    journalFile = join(folder, 'journal');
    await writeFile(journalFile, 'mariadb://ekko:secret@db.example:3306/ekko\n', { mode: 0o600 });
  });

  afterAll(() => rm(folder, { recursive: true }));

  const urlOf = async (registry: string | undefined, place: string | undefined) => {
    const settings = { ...(registry && { registry }), journal_file: journalFile } as CatalogSettings;
    return (await openRegistryStore(settings, place)).url;
  };

  test('in the database of the journals, where nothing is said', async () => {
    expect(await urlOf(undefined, undefined)).toBe('mariadb://db.example:3306/ekko');
    expect(await urlOf('sql', '/elsewhere')).toBe('mariadb://db.example:3306/ekko');
  });

  test('where the settings say, and else where the environment says', async () => {
    expect(await urlOf('/settings', '/environment')).toBe('file:/settings');
    expect(await urlOf(undefined, '/environment')).toBe('file:/environment');
    expect(await urlOf('./sql', undefined)).toMatch(/^file:.*\/sql$/);
  });

  test('nowhere, where the journal file cannot be read: that is said at the start', async () => {
    const settings = { journal_file: join(folder, 'none') } as CatalogSettings;
    await expect(openRegistryStore(settings, undefined)).rejects.toMatchObject({ code: 'bad-input' });
  });
});

describe('a store that is the operator’s', () => {
  const failing = (code: 'store-failed' | 'object-missing'): ObjectStore => {
    const fail = async () => Promise.reject(new EkkoError(code, 'file:/operators/own fails'));
    const list = async function* () {
      yield await fail();
    };
    return { url: 'file:/operators/own', create: fail, get: fail, remove: fail, list };
  };
  const VERBS = {
    create: (store: ObjectStore) => store.create('a', []),
    get: (store: ObjectStore) => store.get('a'),
    remove: (store: ObjectStore) => store.remove(['a']),
    list: (store: ObjectStore) => Array.fromAsync(store.list('')),
  };

  test.each(Object.entries(VERBS))('tells why %s fails to the log alone', async (_, verb) => {
    await expect(verb(discreet(failing('store-failed')))).rejects.toMatchObject({
      code: 'store-failed',
      message: expect.not.stringContaining('operators'),
      cause: { message: 'file:/operators/own fails' },
    });
    await expect(verb(discreet(failing('object-missing')))).rejects.toMatchObject({ code: 'object-missing' });
  });

  test('is a store like others', async () => {
    const store = discreet(openMemoryStore());
    expect(await store.create('a/b', [Buffer.from('one')])).toBe('created');
    expect((await store.get('a/b', { start: 1, end: 3 })).toString()).toBe('ne');
    expect(await Array.fromAsync(store.list('a/', { after: 'a/a' }))).toEqual([{ key: 'a/b', size: 3 }]);
    await store.remove(['a/b']);
    expect(await Array.fromAsync(store.list(''))).toEqual([]);
  });
});
