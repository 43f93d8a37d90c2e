import { codeOf, EkkoError } from '#vault/errors.ts';
import { readJournalFile } from '#vault/sql/sql-address.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { openStore } from '#vault/store/open-store.ts';
import { openSqlStore } from '#vault/store/sql-store.ts';
import type { CatalogSettings } from '../settings.ts';

/** Names the database that the journals of the vaults are in. */
const SQL = 'sql';

/**
 * Where the registry lies: where the settings say, else `place`, else the database that the journals of the vaults are in. Throws `bad-input`,
 * `bad-format`. Nothing is read of it yet.
 */
export async function openRegistryStore(settings: CatalogSettings, place: string | undefined): Promise<ObjectStore> {
  const { registry = place ?? SQL, journal_file: journalFile } = settings;
  return discreet(registry === SQL ? openSqlStore(await readJournalFile(journalFile)) : await openStore(registry));
}

/** A store that is the operator's: where it is and why it fails is told to the log, as the cause, and not to tenants. */
export function discreet(store: ObjectStore): ObjectStore {
  return {
    url: store.url,
    create: (...args) => store.create(...args).catch(rethrow),
    get: (...args) => store.get(...args).catch(rethrow),
    remove: (...args) => store.remove(...args).catch(rethrow),
    async *list(...args) {
      try {
        yield* store.list(...args);
      } catch (error) {
        rethrow(error);
      }
    },
  };
}

function rethrow(cause: unknown): never {
  if (codeOf(cause) !== 'store-failed') throw cause;
  const message = 'The registry of this service does not answer. Try again later; the log of the service says why.';
  throw new EkkoError('store-failed', message, { cause });
}
