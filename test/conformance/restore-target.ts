import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openTarget } from '../../host-exporter/restore-targets/open-target.ts';
import type { PreparedTarget, TargetRequest } from '../../host-exporter/restore-targets/restore-target.ts';

/** A kind of target under test. */
export interface TargetUnderTest {
  /** Prepares a target of `size` bytes in a place of its own. */
  prepare(size: number, mode: TargetRequest['mode']): Promise<PreparedTarget>;
  /** Prepares again what the last `prepare` prepared. */
  prepareAgain(size: number, mode: TargetRequest['mode']): Promise<PreparedTarget>;
  /** The first `size` bytes of what the last `prepare` prepared, read by other means; it is finished or abandoned. */
  content(size: number): Promise<Buffer>;
  /** How a target that holds nothing yet is asked for. */
  readonly first: 'new' | 'overwrite';
  cleanUp(): Promise<void>;
}

const SIZE = 3 * 1024 * 1024 + 512;

/** What every restore target keeps. */
export function describeTarget(name: string, open: () => Promise<TargetUnderTest>): void {
  const withTarget = (test: (target: TargetUnderTest) => Promise<void>) => async () => {
    const target = await open();
    try {
      await test(target);
    } finally {
      await target.cleanUp();
    }
  };

  describe(`${name} as a restore target`, () => {
    it(
      'holds what was written, out of order and by several handles, and zeros elsewhere',
      withTarget(async (under) => {
        const prepared = await under.prepare(SIZE, under.first);
        const [one, two] = await Promise.all([openTarget(prepared.handle), openTarget(prepared.handle)]);
        const [a, b, c] = [randomBytes(1024 * 1024), randomBytes(65_536), randomBytes(512)];
        await one.zero(0, SIZE);
        await Promise.all([
          two.write(1_114_112, a),
          one.write(0, b),
          one.write(SIZE - 512, c),
          two.zero(131_072, 65_536),
        ]);
        await one.flush();
        await Promise.all([one.close(), two.close()]);
        await prepared.finish();
        const expected = Buffer.alloc(SIZE);
        for (const [at, bytes] of [
          [1_114_112, a],
          [0, b],
          [SIZE - 512, c],
        ] as const)
          bytes.copy(expected, at);
        expect((await under.content(SIZE)).equals(expected)).toBe(true);
      }),
    );

    it(
      'keeps what an abandoned restore wrote for the one that resumes it',
      withTarget(async (under) => {
        const [a, b] = [randomBytes(65_536), randomBytes(65_536)];
        for (const [mode, at, bytes] of [
          [under.first, 0, a],
          ['resume', 65_536, b],
        ] as const) {
          const prepared = await (at === 0 ? under.prepare(SIZE, mode) : under.prepareAgain(SIZE, mode));
          const target = await openTarget(prepared.handle);
          await target.write(at, bytes);
          await target.close();
          await (at === 0 ? prepared.abandon() : prepared.finish());
        }
        expect((await under.content(131_072)).equals(Buffer.concat([a, b]))).toBe(true);
      }),
    );

    it(
      'loses nothing to a restore that does not say that it may overwrite',
      withTarget(async (under) => {
        const prepared = await under.prepare(SIZE, under.first);
        const target = await openTarget(prepared.handle);
        const bytes = randomBytes(65_536);
        await target.write(0, bytes);
        await target.close();
        await prepared.finish();
        await expect(under.prepareAgain(SIZE, 'new')).rejects.toMatchObject({ code: 'target-failed' });
        expect((await under.content(65_536)).equals(bytes)).toBe(true);
      }),
    );

    it(
      'says so when what it should resume has another size',
      withTarget(async (under) => {
        const prepared = await under.prepare(SIZE, under.first);
        await prepared.finish();
        await expect(under.prepareAgain(SIZE + 1024 ** 3, 'resume')).rejects.toMatchObject({ code: 'target-failed' });
      }),
    );
  });
}
