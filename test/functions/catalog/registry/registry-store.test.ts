import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openRegistryStore } from '../../../../functions/catalog/registry/registry-store.ts';
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
