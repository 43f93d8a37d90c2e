import { CONTENT_NAMED, Folder } from './object-names.ts';
import type { ObjectStore } from './object-store.ts';

/** Folders that are empty until a vault's journal has its first entry. */
const CONTENT = [...CONTENT_NAMED, Folder.states, Folder.receipts, Folder.keys] as const;

/** The key of something that only a vault with a journal can have made; undefined in a store where no vault ever was. Throws `store-failed`. */
export async function firstContent(store: ObjectStore): Promise<string | undefined> {
  for (const folder of CONTENT) for await (const { key } of store.list(folder)) return key;
  return undefined;
}
