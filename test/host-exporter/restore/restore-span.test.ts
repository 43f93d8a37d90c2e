import { describe, expect, it } from 'vitest';
import type { DiskPiece, DiskReader } from '#vault/restore/read-disk.ts';
import { restoreSpan } from '../../../host-exporter/restore/restore-span.ts';
import type { RestoreTarget } from '../../../host-exporter/restore-targets/restore-target.ts';

const MANIFEST = { diskSize: 1024, pages: [undefined] };
const RUN = { first: 0, count: 1 };

function readerOf(pieces: readonly DiskPiece[]): DiskReader {
  return {
    async *read() {
      yield* pieces;
    },
  };
}

function data(offset: number, done = () => {}): DiskPiece {
  return { kind: 'data', offset, length: 10, bytes: Buffer.alloc(10), done };
}

function targetThat(write: (offset: number) => Promise<void>, zeroed: number[] = []): RestoreTarget {
  return {
    write,
    zero: async (offset) => {
      zeroed.push(offset);
    },
    flush: async () => {},
    close: async () => {},
  };
}

describe('Restoring a span', () => {
  it.each([0, 50, 99])('fails when write %i of 100 does', async (failing) => {
    const target = targetThat(async (offset) => {
      await Promise.resolve();
      if (offset === failing) throw new Error('full');
    });
    const pieces = Array.from({ length: 100 }, (_, offset) => data(offset));
    await expect(restoreSpan(readerOf(pieces), MANIFEST, RUN, target)).rejects.toThrow('full');
  });

  it('is not over before its last write is, and keeps few in flight', async () => {
    let [inFlight, most] = [0, 0];
    const target = targetThat(async () => {
      most = Math.max(most, ++inFlight);
      await new Promise((resolve) => setTimeout(resolve, 1));
      inFlight--;
    });
    const pieces = Array.from({ length: 40 }, (_, offset) => data(offset));
    await restoreSpan(readerOf(pieces), MANIFEST, RUN, target);
    expect([inFlight, most]).toEqual([0, 6]);
  });

  it('gives each piece back after its write, not before', async () => {
    const events: string[] = [];
    const target = targetThat(async (offset) => {
      events.push(`write ${offset}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
      events.push(`written ${offset}`);
    });
    const pieces = [0, 1].map((offset) => data(offset, () => events.push(`done ${offset}`)));
    await restoreSpan(readerOf(pieces), MANIFEST, RUN, target);
    for (const offset of [0, 1])
      expect(events.indexOf(`done ${offset}`)).toBeGreaterThan(events.indexOf(`written ${offset}`));
  });

  it('zeroes what it cannot read, and lists neighbours that failed alike as one', async () => {
    const lost = (offset: number, object: string): DiskPiece => ({
      kind: 'unreadable',
      offset,
      length: 10,
      object,
      reason: 'r',
    });
    const zeroed: number[] = [];
    const pieces = [lost(0, 'a'), lost(10, 'a'), lost(20, 'b'), lost(40, 'b')];
    const outcome = await restoreSpan(
      readerOf(pieces),
      MANIFEST,
      RUN,
      targetThat(async () => {}, zeroed),
    );
    expect(zeroed).toEqual([0, 10, 20, 40]);
    expect(outcome.unreadable.map(({ offset, length }) => [offset, length])).toEqual([
      [0, 20],
      [20, 10],
      [40, 10],
    ]);
  });
});
