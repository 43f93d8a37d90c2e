import { readJournalFile } from '#vault/sql/sql-address.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openStore } from '#vault/store/open-store.ts';
import { openSqlStore } from '#vault/store/sql-store.ts';
import type { CatalogSettings } from '../settings.ts';

/** Names the database that the journals of the vaults are in. */
export const SQL = 'sql';

/**
 * Where the registry lies: where the settings say, else `place`, else the database that the journals of the vaults are in. Throws `bad-input`,
 * `bad-format`. Nothing is read of it yet.
 */
export async function openRegistryStore(settings: CatalogSettings, place: string | undefined): Promise<ObjectStore> {
  const { registry = place ?? SQL, journal_file: journalFile } = settings;
  return registry === SQL ? openSqlStore(await readJournalFile(journalFile)) : openStore(registry);
}
