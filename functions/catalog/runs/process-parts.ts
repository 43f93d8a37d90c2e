import pLimit from 'p-limit';
import { EkkoError } from '#vault/errors.ts';
import { diskFolder, Folder, placeOf } from '#vault/store/object-names.ts';
import { processStagedPart } from '../../rim/process-staged-part.ts';
import type { TenantVault } from '../vaults/tenant-vaults.ts';

/** Takes staged parts of one run to the segment-processor. */
export interface RunParts {
  /** Resolves when the parts are taken on and there is room for more. Throws `bad-input` for keys of anything else. */
  notice(keys: readonly string[]): Promise<void>;
  /** Processes what is staged of these disks (by number), noticed or not; answers why those that could not be, by disk. */
  settle(disks: readonly number[]): Promise<ReadonlyMap<number, Error>>;
  /** Parts that are noticed and not yet processed. */
  waiting(): number;
  /** Why parts could not be processed that were not tried again since. */
  failures(): readonly Error[];
  /** Tries again what failed. */
  forgive(disks: readonly number[]): void;
}

const AT_ONCE = 8;
/** More than this wait for room: then exporters do, too. */
const MOST_WAITING = 256;

export function openRunParts(run: string, tenant: Pick<TenantVault, 'vault' | 'invoke'>): RunParts {
  const limit = pLimit(AT_ONCE);
  const working = new Map<string, Promise<unknown>>();
  const failed = new Map<number, Error>();
  const submit = (key: string): void => {
    if (working.has(key)) return;
    const { disk } = placeOf(key);
    const work = limit(() => processStagedPart(tenant, key))
      .catch((error: unknown) => void failed.set(disk, error instanceof Error ? error : new Error(String(error))))
      .finally(() => working.delete(key));
    working.set(key, work);
  };
  return {
    waiting: () => working.size,
    failures: () => [...failed.values()],
    forgive: (disks) => {
      for (const disk of disks) failed.delete(disk);
    },
    async notice(keys) {
      for (const key of keys.map((each) => checkPart(run, each))) submit(key);
      while (working.size > MOST_WAITING) await Promise.race(working.values());
    },
    async settle(disks) {
      await Promise.all(working.values());
      for (const disk of disks) failed.delete(disk);
      for (const disk of disks) {
        const folder = diskFolder(Folder.staging, run, disk);
        for await (const { key } of tenant.vault.store.list(folder)) if (!key.endsWith('/summary')) submit(key);
      }
      await Promise.all(working.values());
      return new Map([...failed].filter(([disk]) => disks.includes(disk)));
    },
  };
}

/** Keys come from outside: they name parts of this very run. */
function checkPart(run: string, key: string): string {
  const place = placeOf(key);
  if (place.run === run && place.part !== 'summary') return key;
  throw new EkkoError('bad-input', `${key} is no part of run ${run} (${Folder.staging}${run}/…).`);
}
