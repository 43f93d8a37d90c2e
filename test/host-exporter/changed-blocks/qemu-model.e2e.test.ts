import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openQemuSource } from '../../../host-exporter/changed-blocks/qemu-source.ts';
import { assemble, createPoints } from './disk-model.ts';
import { blockdevArguments, makeDirectory, qemuImg, startQemu } from './running-qemu.ts';

const SIZE = 2 * 1024 * 1024 + 7 * 512;
const SECTOR = 512;

const write = fc.record({
  kind: fc.constantFrom('data', 'zero', 'discard'),
  disk: fc.nat(1),
  sector: fc.nat(SIZE / SECTOR - 1),
  count: fc.integer({ min: 1, max: 700 }),
  byte: fc.integer({ min: 1, max: 255 }),
});
const round = fc.record({
  before: fc.array(write, { maxLength: 6 }),
  during: fc.array(write, { maxLength: 4 }),
  outcome: fc.constantFrom('committed', 'abandoned', 'forgotten'),
});
type Write = typeof write extends fc.Arbitrary<infer T> ? T : never;

const disks = ['vda', 'vdb'];

function command({ kind, sector, count, byte }: Write): string {
  const span = `${sector * SECTOR} ${spanOf({ sector, count })}`;
  if (kind === 'data') return `write -P ${byte} ${span}`;
  return kind === 'zero' ? `write -z ${span}` : `write -z -u ${span}`;
}

function spanOf({ sector, count }: Pick<Write, 'sector' | 'count'>): number {
  return Math.min(count * SECTOR, SIZE - sector * SECTOR);
}

function digest(bytes: Buffer | undefined): string {
  return createHash('sha256')
    .update(bytes ?? '')
    .digest('hex');
}

/**
 * Whatever is written before and during moments, and however these end: an image put together from increments is the disk as it was.
 */
test('images put together from increments are the disks as they were', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(round, { minLength: 2, maxLength: 6 }), async (rounds) => {
      const directory = await makeDirectory();
      const images = disks.map((name) => directory.file(`${name}.qcow2`));
      for (const image of images) await qemuImg('create', '-q', '-f', 'qcow2', image, String(SIZE));
      const args = disks.flatMap((name, at) => blockdevArguments(name, images[at] ?? '', 'qcow2'));
      const qemu = await startQemu(directory, args);
      try {
        const places = { scratchDirectory: directory.scratch, stateDirectory: directory.state, scratchLowWater: 1 };
        const open = () => openQemuSource({ qmpSocket: qemu.qmpSocket, ...places });
        const truth = disks.map(() => Buffer.alloc(SIZE));
        const stored = new Map<string, Buffer>();
        const points = createPoints();
        let source = await open();

        async function apply(writes: readonly Write[]): Promise<void> {
          for (const one of writes) {
            await qemu.io(disks[one.disk] ?? '', command(one));
            const start = one.sector * SECTOR;
            truth[one.disk]?.fill(one.kind === 'data' ? one.byte : 0, start, start + spanOf(one));
          }
        }

        for (const [number, { before, during, outcome }] of rounds.entries()) {
          await apply(before);
          const run = `r${number}`;
          const expected = truth.map(digest);
          const moment = await source.take(points.request(run, { auditShare: number % 2 }));
          await apply(during);
          for (const { disk, base } of moment.plans) {
            const whole = await assemble(moment, disk.name, stored.get(`${base} ${disk.name}`));
            expect(digest(whole)).toBe(expected[disks.indexOf(disk.name)]);
            stored.set(`${run} ${disk.name}`, whole);
          }
          if (outcome === 'committed') points.add(run, moment.plans);
          if (outcome !== 'forgotten') await moment.end(outcome);
          else {
            // Half of those that are never ended had been committed to the vault.
            if (number % 2 === 0) points.add(run, moment.plans);
            await source.close();
            source = await open();
          }
        }
        await source.close();
      } finally {
        await qemu.kill();
        await directory.remove();
      }
    }),
    { numRuns: Number(process.env['EKKO_MODEL_RUNS'] ?? 8) },
  );
});
