import { Folder } from '#vault/store/object-names.ts';
import type { ObjectStore } from '#vault/store/object-store.ts';
import { processStagedPart } from '../rim/process-staged-part.ts';
import type { FunctionHost } from './function-host.ts';

/** Takes notices of staged parts to the segment-processor, and holds the exporter back when the functions cannot keep up. */
export interface StagedParts {
  /** Resolves when there is room for the next part, not when this one is done. Rejects once a part has failed for good. */
  notice(key: string): Promise<void>;
  /** Resolves when every part of the run is processed: those of which notice was given, and those that a listing still finds. */
  settle(run: string): Promise<void>;
}

/** `most`: parts noticed but not yet processed, which bounds the staging space. */
export function openStagedParts(host: FunctionHost, store: ObjectStore, most: number): StagedParts {
  const working = new Set<Promise<unknown>>();
  let failure: { readonly error: unknown } | undefined;
  const submit = (key: string) => {
    const work: Promise<unknown> = processStagedPart(host, key)
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => working.delete(work));
    working.add(work);
  };
  const check = () => {
    if (failure) throw failure.error;
  };
  return {
    async notice(key) {
      check();
      submit(key);
      while (working.size >= most) await Promise.race(working);
      check();
    },
    async settle(run) {
      await Promise.all(working);
      check();
      // Events are for speed only: what one of them lost is found here.
      for await (const { key } of store.list(`${Folder.staging}${run}/`)) if (!key.endsWith('/summary')) submit(key);
      await Promise.all(working);
      check();
    },
  };
}
