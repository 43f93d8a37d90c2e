import type { Manifest } from '#vault/format/manifest.ts';
import type { VaultReader } from '#vault/records.ts';
import { openReader, type ReaderSettings } from '#vault/restore/open-reader.ts';
import { openDiskReader } from '#vault/restore/read-disk.ts';
import { openCountedStore } from '#vault/store/counted-store.ts';
import type { SegmentRun } from '#vault/words.ts';
import { openTarget } from '../restore-targets/open-target.ts';
import type { TargetHandle } from '../restore-targets/restore-target.ts';
import { restoreSpan, type SpanOutcome } from './restore-span.ts';

/** What one thread restores: plain data, but for the keys in the reader's settings. */
export interface SpanWork {
  /** An opened reader in the same thread; settings for another one. */
  readonly reader: VaultReader | ReaderSettings;
  readonly manifest: Manifest;
  readonly target: TargetHandle;
  readonly bestEffort: boolean;
}

export interface CountedOutcome extends SpanOutcome {
  /** Requests to the store. */
  readonly requests: number;
}

export interface SpanRestorer {
  restore(run: SegmentRun): Promise<CountedOutcome>;
  close(): Promise<void>;
}

/** Opens vault and target in this thread. Throws `bad-input`, `target-failed`. */
export async function openSpanRestorer(work: SpanWork): Promise<SpanRestorer> {
  const opened = 'store' in work.reader ? work.reader : await openReader(work.reader);
  const counted = openCountedStore(opened.store);
  const reader = openDiskReader({ ...opened, store: counted }, work);
  const target = await openTarget(work.target);
  return {
    async restore(run) {
      const outcome = await restoreSpan(reader, work.manifest, run, target);
      const requests = counted.requests();
      counted.reset();
      return { ...outcome, requests };
    },
    close: () => target.close(),
  };
}
