import type { ObjectLocking, StoredVersions, Uncovered } from '#vault/store/object-locking.ts';
import { isFirstToCount, LASTING, nameOf, VAULT_JSON } from '#vault/store/object-names.ts';

/** What became of an object that something was laid over. */
export interface UncoveredObject {
  readonly key: string;
  /** `covering`: something lies over it, and nothing was done. */
  readonly outcome: Exclude<Uncovered, 'right'> | 'covering';
}

/**
 * In a locked vault, takes away delete markers and other versions that somebody laid over its objects: from those that are below, nothing
 * can have been taken. Nobody else need have a copy. `dryRun`: only says which. Throws `store-failed`.
 */
export async function uncoverObjects(locking: ObjectLocking, dryRun: boolean): Promise<UncoveredObject[]> {
  const found: UncoveredObject[] = [];
  for await (const object of coveredObjects(locking)) {
    const outcome = dryRun ? 'covering' : await locking.uncover(object);
    if (outcome !== 'right') found.push({ key: object.key, outcome });
  }
  return found;
}

/** Objects of the vault that are hidden, or have more than one version. Throws `store-failed`. */
export async function* coveredObjects(locking: ObjectLocking): AsyncGenerator<StoredVersions> {
  for (const prefix of [...LASTING, VAULT_JSON]) {
    for await (const object of locking.versions(prefix)) if (isOurs(object.key) && isCovered(object)) yield object;
  }
}

function isOurs(key: string): boolean {
  return isFirstToCount(key) || nameOf(key) !== undefined;
}

/** What has no version is not there: there is nothing below. */
function isCovered({ versions, markers }: StoredVersions): boolean {
  return versions.length > 1 || (versions.length === 1 && markers.length > 0);
}
